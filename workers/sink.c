/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/sink.h"
#include "steering/counter.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int sink_file_open(struct sink_file *file, const char *dir, const char *group, uint32_t member,
		   const char *interface, struct xfq_error *error)
{
	char path[PATH_MAX];
	int code;

	memset(file, 0, sizeof(*file));
	if (snprintf(path, sizeof(path), "%s/%s.%u.pcapng", dir, group, member) >=
	    (int)sizeof(path))
		return xfq_error_set(error, -ENAMETOOLONG, "%s: the path is too long", dir);
	if (mkdir(dir, 0750) && errno != EEXIST)
		return xfq_error_set(error, -errno, "%s: making the folder: %s", dir,
				     strerror(errno));
	code = pcapng_open(&file->pcapng, path, interface, 0, error);
	if (code == 0)
		pthread_mutex_init(&file->lock, NULL);
	return code;
}

int sink_file_begin(struct sink_file *file, struct xfq_error *error)
{
	return file->pcapng.buffer ? pcapng_begin(&file->pcapng, error) : 0;
}

int sink_file_flush(struct sink_file *file, struct xfq_error *error)
{
	int code;

	if (!file->pcapng.buffer || file->told)
		return 0;
	pthread_mutex_lock(&file->lock);
	code = pcapng_flush(&file->pcapng);
	pthread_mutex_unlock(&file->lock);
	if (code == 0)
		return 0;
	file->told = 1;
	return xfq_error_set(error, code, "%s: cannot write the capture file: %s",
			     file->pcapng.name, strerror(-code));
}

uint64_t sink_file_unwritten(struct sink_file *file)
{
	uint64_t lost;

	if (!file->pcapng.buffer)
		return file->pcapng.lost_cnt;
	pthread_mutex_lock(&file->lock);
	lost = file->pcapng.lost_cnt;
	pthread_mutex_unlock(&file->lock);
	return lost;
}

int sink_file_close(struct sink_file *file, uint64_t received, uint64_t lost,
		    struct xfq_error *error)
{
	if (!file->pcapng.buffer)
		return 0;
	pthread_mutex_destroy(&file->lock);
	return pcapng_close(&file->pcapng, received, lost, error);
}

static void sink_write(struct sink_file *file, const struct packet *pkts, const uint8_t *index,
		       uint32_t cnt)
{
	pthread_mutex_lock(&file->lock);
	for (uint32_t i = 0; i < cnt; i++) {
		const struct packet *pkt = &pkts[index[i]];

		/* a failed write is remembered, and told when the file is closed */
		(void)pcapng_write(&file->pcapng, pkt->data, pkt->len, pkt->meta->wire_len,
				   pkt->meta->ts_ns);
	}
	pthread_mutex_unlock(&file->lock);
}

void sink_consume(void *context, const struct packet *pkts, const uint32_t *marks,
		  const uint8_t *index, uint32_t cnt)
{
	struct sink *sink = context;
	uint64_t bytes = 0;

	(void)marks;
	for (uint32_t i = 0; i < cnt; i++)
		bytes += pkts[index[i]].meta->wire_len;
	if (sink->file)
		sink_write(sink->file, pkts, index, cnt);
	counter_add(&sink->packets, cnt);
	counter_add(&sink->bytes, bytes);
}
