/* SPDX-License-Identifier: BSD-2-Clause */
/* A shared object that is no plug-in. */
int no_plugin(void);

int no_plugin(void)
{
	return 0;
}
