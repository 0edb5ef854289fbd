/* SPDX-License-Identifier: BSD-2-Clause */
/* Facts of the loopback interface, and the watch and promiscuous mode in a namespace of our own. */
#include "workers/interface.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_loopback(void **state)
{
	struct interface interface;
	struct xfq_error error = {0};

	(void)state;
	assert_int_equal(interface_open(&interface, "lo", false, &error), 0);
	assert_string_equal(interface.name, "lo");
	assert_int_equal(interface.ifindex, if_nametoindex("lo"));
	assert_in_range(interface.mtu, 68, 65536);
	assert_int_equal(interface.queue_cnt, 1);
	assert_false(interface.promiscuous);
	interface_close(&interface);
	interface_close(&interface);
}

static void test_names(void **state)
{
	struct interface interface;
	struct xfq_error error;

	(void)state;
	assert_int_equal(interface_open(&interface, "no-such-iface", true, &error), -ENODEV);
	assert_int_equal(error.code, -ENODEV);
	assert_string_equal(error.text,
			    "no-such-iface: no such interface in this network namespace; `ip "
			    "link` lists those there are");
	interface_close(&interface);
	assert_int_equal(interface_open(&interface, "", false, &error), -EINVAL);
	assert_string_equal(error.text, "\"\": the name of an interface has 1 to 15 characters");
	assert_int_equal(interface_open(&interface, "sixteen-letters-", false, &error), -EINVAL);
	assert_int_equal(interface_open(&interface, "fifteen-letters", false, NULL), -ENODEV);
	interface_close(&interface);
}

static void test_zeroed(void **state)
{
	struct interface interface;
	struct interface_watch watch;

	(void)state;
	memset(&interface, 0, sizeof(interface));
	memset(&watch, 0, sizeof(watch));
	interface_close(&interface);
	interface_watch_close(&watch);
	assert_true(fcntl(0, F_GETFD) >= 0 || errno == EBADF);
}

static void test_watch_nobody(void **state)
{
	static const uint32_t missing[] = {0x7ffffff0};
	struct interface_watch watch;
	struct interface_change change;
	struct xfq_error error;

	(void)state;
	assert_int_equal(interface_watch_open(&watch, missing, 1, &error), -ENODEV);
	assert_string_equal(error.text, "the interface with index 2147483632 went away before it "
					"could be watched");
	interface_watch_close(&watch);
	assert_int_equal(interface_watch_open(&watch, NULL, 0, &error), 0);
	assert_int_equal(interface_watch_read(&watch, &change), 0);
	interface_watch_close(&watch);
	interface_watch_close(&watch);
}

/* A network namespace of our own, where we may do anything; state is NULL where there is none. */
static int own_namespace(void **state)
{
	static int yes;

	*state = NULL;
	if (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
		*state = &yes;
	return 0;
}

static void need_namespace(void **state)
{
	if (!*state) {
		print_message("skipped: this process may not have a network namespace (%s)\n",
			      strerror(errno));
		skip();
	}
}

static void set_up(const char *name, bool up)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	if (up)
		request.ifr_flags |= IFF_UP;
	else
		request.ifr_flags &= ~IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* An interface that goes when the returned descriptor is closed; -1 where there is no tun. */
static int tap_create(const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void expect_change(struct interface_watch *watch, uint32_t ifindex,
			  enum interface_event event)
{
	struct pollfd readable = {.fd = watch->fd, .events = POLLIN};
	struct interface_change changes[4];
	uint32_t cnt = 0;

	/* a carrier may take the kernel a moment, and messages come that change nothing */
	for (int i = 0; i < 20 && cnt == 0; i++) {
		poll(&readable, 1, 500);
		cnt = interface_watch_read(watch, changes);
	}
	assert_int_equal(cnt, 1);
	assert_int_equal(changes[0].ifindex, ifindex);
	assert_int_equal(changes[0].event, event);
	assert_int_equal(interface_watch_read(watch, changes), 0);
}

static void test_watch(void **state)
{
	struct interface_watch watch;
	struct interface_change changes[2];
	struct interface interface;
	uint32_t ifindexes[2];
	int tap;

	need_namespace(state);
	tap = tap_create("xfqtap0");
	if (tap < 0) {
		print_message("skipped: no tap interface can be made (/dev/net/tun: %s)\n",
			      strerror(errno));
		skip();
	}
	assert_int_equal(interface_open(&interface, "xfqtap0", false, NULL), 0);
	assert_false(interface.up);
	assert_false(interface.running);
	assert_string_equal(interface.driver, "tun");
	assert_int_equal(interface.mtu, 1500);
	ifindexes[0] = if_nametoindex("lo");
	ifindexes[1] = interface.ifindex;
	interface_close(&interface);

	assert_int_equal(interface_watch_open(&watch, ifindexes, 2, NULL), 0);
	assert_int_equal(interface_watch_read(&watch, changes), 0);
	set_up("lo", true);
	expect_change(&watch, ifindexes[0], INTERFACE_UP);
	assert_int_equal(interface_open(&interface, "lo", false, NULL), 0);
	assert_true(interface.up);
	assert_true(interface.running);
	interface_close(&interface);
	set_up("xfqtap0", true);
	expect_change(&watch, ifindexes[1], INTERFACE_UP);
	set_up("lo", false);
	expect_change(&watch, ifindexes[0], INTERFACE_DOWN);
	set_up("lo", true);
	set_up("lo", false);
	assert_int_equal(interface_watch_read(&watch, changes), 0); /* down again */
	close(tap);
	expect_change(&watch, ifindexes[1], INTERFACE_GONE);
	set_up("lo", true);
	expect_change(&watch, ifindexes[0], INTERFACE_UP); /* and the other is not told again */
	interface_watch_close(&watch);
}

/* More messages than the socket holds: what they would have said is found by asking. */
static void test_watch_overflow(void **state)
{
	struct interface_change changes[2];
	struct interface_watch watch;
	uint32_t ifindexes[2];
	int tap, small = 1;

	need_namespace(state);
	tap = tap_create("xfqtap1");
	if (tap < 0) {
		print_message("skipped: no tap interface can be made (/dev/net/tun: %s)\n",
			      strerror(errno));
		skip();
	}
	set_up("lo", false);
	ifindexes[0] = if_nametoindex("lo");
	ifindexes[1] = if_nametoindex("xfqtap1");
	assert_int_equal(interface_watch_open(&watch, ifindexes, 2, NULL), 0);
	assert_int_equal(setsockopt(watch.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (int i = 0; i < 50; i++) {
		set_up("lo", true);
		set_up("lo", false);
	}
	set_up("lo", true);
	close(tap);
	assert_int_equal(interface_watch_read(&watch, changes), 2);
	assert_int_equal(changes[0].ifindex, ifindexes[0]);
	assert_int_equal(changes[0].event, INTERFACE_UP);
	assert_int_equal(changes[1].ifindex, ifindexes[1]);
	assert_int_equal(changes[1].event, INTERFACE_GONE);
	assert_int_equal(interface_watch_read(&watch, changes), 0);
	interface_watch_close(&watch);
}

/* How many want the interface promiscuous, as the kernel counts (IFLA_PROMISCUITY). */
static uint32_t promiscuity(uint32_t ifindex)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {{.nlmsg_len = sizeof(request),
		      .nlmsg_type = RTM_GETLINK,
		      .nlmsg_flags = NLM_F_REQUEST},
		     {.ifi_index = (int)ifindex}};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	static uint8_t reply[32768];
	uint32_t value = UINT32_MAX;
	ssize_t len;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	len = recv(fd, reply, sizeof(reply), 0);
	close(fd);
	for (ssize_t at = NLMSG_LENGTH(sizeof(struct ifinfomsg));
	     at + (ssize_t)sizeof(struct rtattr) <= len;) {
		struct rtattr attribute;

		memcpy(&attribute, reply + at, sizeof(attribute));
		if (attribute.rta_type == IFLA_PROMISCUITY)
			memcpy(&value, reply + at + RTA_LENGTH(0), sizeof(value));
		at += RTA_ALIGN(attribute.rta_len ? attribute.rta_len : 4);
	}
	return value;
}

static void test_promiscuous(void **state)
{
	struct interface first, second;
	uint32_t ifindex;

	need_namespace(state);
	ifindex = if_nametoindex("lo");
	assert_int_equal(promiscuity(ifindex), 0);
	assert_int_equal(interface_open(&first, "lo", true, NULL), 0);
	assert_true(first.promiscuous);
	assert_int_equal(promiscuity(ifindex), 1);
	assert_int_equal(interface_open(&second, "lo", true, NULL), 0);
	assert_int_equal(promiscuity(ifindex), 2);
	interface_close(&first);
	interface_close(&first);
	assert_int_equal(promiscuity(ifindex), 1);
	interface_close(&second);
	assert_int_equal(promiscuity(ifindex), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_watch_nobody),
		cmocka_unit_test_setup(test_watch, own_namespace),
		cmocka_unit_test_setup(test_watch_overflow, own_namespace),
		cmocka_unit_test_setup(test_promiscuous, own_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
