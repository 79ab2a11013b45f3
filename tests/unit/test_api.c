// SPDX-License-Identifier: Apache-2.0
/*
 * test_api.c - the control API without a machine: bodies, rows, its socket
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"
#include "vmm/api_call.h"
#include "vmm/json_pool.h"

static struct api api;
static struct loop loop;
static char body[HTTP_MAX_REPLY + 1];
static unsigned int starts;

/* Refuses the first start, as a bad kernel would. */
static bool fake_start(struct api *a, struct api_error *error)
{
	if (starts++ == 0)
		return api_refuse(error, "not \"now\"\xff");
	api_started(a, NULL);
	return true;
}

static void set_up(void)
{
	memset(&api, 0, sizeof(api));
	starts = 0;
	ck_assert_int_eq(api_init(&api, "unit", fake_start), 0);
}

/* The status; BODY is then a string. */
static unsigned int ask(enum http_method method, const char *path,
			const char *text)
{
	struct http_request request = {
		.method = method,
		.path = path,
		.path_len = strlen(path),
		.body = text,
		.body_len = strlen(text),
	};
	struct http_reply reply = { .body = body };

	api_handle(&api, &request, &reply);
	body[reply.len] = '\0';
	return reply.status;
}

#define BAD_BODY                                                               \
	"{\"fault_message\":\"An error occurred when deserializing the json "  \
	"body of a request: "

START_TEST(requests)
{
	ck_assert_uint_eq(ask(HTTP_GET, "/", ""), 200);
	ck_assert_str_eq(body, "{\"id\":\"unit\",\"state\":\"Not started\","
			       "\"vmm_version\":\"" API_VERSION "\","
			       "\"app_name\":\"Firecracker\"}");
	ck_assert_uint_eq(ask(HTTP_PATCH, "/machine-config",
			      "{\"mem_size_mib\": 64}"),
			  204);
	ck_assert_str_eq(body, "");
	ck_assert_uint_eq(api.config.machine.mem_size_mib, 64);
	ck_assert_uint_eq(ask(HTTP_PUT, "/machine-config", "[1"), 400);
	ck_assert_uint_eq(ask(HTTP_PUT, "/machine-config", "\n\n {\"a\":1}"),
			  400);
	ck_assert_ptr_nonnull(strstr(body, "unknown field `a`"));
	ck_assert_ptr_nonnull(strstr(body, "at line 3 column 5"));
	ck_assert_uint_eq(api.config.machine.mem_size_mib, 64);
}
END_TEST

START_TEST(start_twice)
{
	static const char start[] = "{\"action_type\":\"InstanceStart\"}";

	ck_assert_uint_eq(ask(HTTP_PUT, "/actions", start), 400);
	ck_assert_str_eq(body, "{\"fault_message\":\"Start microvm error: not "
			       "\\\"now\\\"?\"}");
	ck_assert_int_eq(api.phase, API_NOT_STARTED);
	ck_assert_uint_eq(ask(HTTP_PUT, "/actions", start), 204);
	ck_assert_uint_eq(ask(HTTP_PUT, "/actions", start), 400);
	ck_assert_uint_eq(starts, 2);
	ck_assert_ptr_nonnull(strstr(body, "after starting the microVM."));
}
END_TEST

/* Every path of up to four words, and ids of every length. */
START_TEST(paths)
{
	char path[HTTP_MAX_LINE];
	int n;

	ck_assert_uint_eq(ask(HTTP_GET, "////", ""), 200);
	ck_assert_uint_eq(ask(HTTP_GET, "/version/a/b/c/d/e", ""), 200);
	ck_assert_uint_eq(ask(HTTP_GET, "/versio", ""), 400);
	ck_assert_uint_eq(ask(HTTP_GET, "/version2", ""), 400);
	ck_assert_uint_eq(ask(HTTP_GET, "/vm/configs", ""), 400);
	for (size_t len = 1; len < 900; len++) {
		n = snprintf(path, sizeof(path), "/drives/");
		memset(path + n, 'x', len);
		path[(size_t)n + len] = '\0';
		ck_assert_uint_eq(ask(HTTP_PUT, path, "{}"), 400);
		if (len < API_ID_SIZE)
			ck_assert_ptr_nonnull(strstr(body, "missing field"));
		else
			ck_assert_ptr_nonnull(strstr(body, "longer"));
	}
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_uint_eq(ask(HTTP_GET, path, ""), 200);
}
END_TEST

/* The pool runs out, the answer does not; then it is as good as new. */
START_TEST(pool_runs_out)
{
	static char text[HTTP_MAX_BODY + 1];
	size_t n = 0;

	text[n++] = '[';
	while (n < HTTP_MAX_BODY - 3)
		n += (size_t)sprintf(text + n, "{},");
	text[n - 1] = ']';
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(ask(HTTP_PUT, "/vsock", text), 400);
		ck_assert_ptr_nonnull(strstr(body, "fault_message"));
		ck_assert_uint_eq(ask(HTTP_GET, "/machine-config", ""), 200);
	}
}
END_TEST

static void check_place(const char *text, struct json_path path,
			enum json_part part, const char *wanted)
{
	char place[48];

	json_place(text, strlen(text), &path, part, place, sizeof(place));
	ck_assert_str_eq(place, wanted);
}

START_TEST(places)
{
	static const char text[] = "{\"a\": {\"b\\\"\": 1,\n \"c\" : [1, {}]},"
				   " \"d\":\"x}\" }";
	struct json_path a = { { "a" }, 1 }, c = { { "a", "c" }, 2 };

	check_place(text, (struct json_path){ .depth = 0 }, JSON_VALUE,
		    " at line 1 column 0");
	check_place(text, (struct json_path){ .depth = 0 }, JSON_END,
		    " at line 2 column 27");
	check_place(text, a, JSON_KEY, " at line 1 column 4");
	check_place(text, a, JSON_VALUE, " at line 1 column 6");
	check_place(text, a, JSON_END, " at line 2 column 15");
	check_place(text, c, JSON_KEY, " at line 2 column 4");
	check_place(text, c, JSON_END, " at line 2 column 14");
	check_place(text, (struct json_path){ { "d" }, 1 }, JSON_VALUE,
		    " at line 2 column 25");
	check_place(text, (struct json_path){ { "d", "e" }, 2 }, JSON_KEY, "");
	check_place(text, (struct json_path){ { "z" }, 1 }, JSON_KEY, "");
	check_place("5", (struct json_path){ .depth = 0 }, JSON_VALUE,
		    " at line 1 column 1");
}
END_TEST

/* Texts as long as they may be, and a byte longer. */
START_TEST(text_sizes)
{
	static char text[8192];
	static struct api_boot_source boot;

	for (size_t extra = 0; extra < 2; extra++) {
		size_t len = sizeof(boot.boot_args) - 1 + extra;
		struct schema_source source = { .text = NULL };
		json_t *json;

		memset(text, 'a', len);
		text[len] = '\0';
		json_pool_open();
		json = json_pack("{ss ss}", "kernel_image_path", "k",
				 "boot_args", text);
		ck_assert(schema_parse(&api_boot_source_schema, json, &boot,
				       &source) == (extra == 0));
		json_pool_close();
	}
}
END_TEST

START_TEST(merge_by_name)
{
	static struct api_drive drive, update;
	const struct schema *s = &api_drive_schema;

	schema_init(s, &drive);
	schema_init(&api_drive_update_schema, &update);
	memcpy(update.path_on_host, "new", 4);
	schema_set(&api_drive_update_schema, &update, "path_on_host");
	schema_merge(s, &drive, &api_drive_update_schema, &update);
	ck_assert_str_eq(drive.path_on_host, "new");
	ck_assert(schema_has(s, &drive, "path_on_host"));
	ck_assert(!schema_has(s, &drive, "drive_id"));
	ck_assert(!schema_has(s, &drive, "partuuid"));
}
END_TEST

/* What the machine is made of, from what was asked for. */
START_TEST(machine_of_config)
{
	static struct vm_config vm;
	struct api_error error;
	struct api_config *c = &api.config;

	ck_assert(!api_config_machine(c, &vm, &error));
	c->has_boot = true;
	schema_init(&api_boot_source_schema, &c->boot);
	memcpy(c->boot.boot_args, "quiet -- x", 11);
	schema_set(&api_boot_source_schema, &c->boot, "boot_args");
	for (unsigned int i = 0; i < 3; i++) {
		schema_init(&api_drive_schema, &c->drive[i]);
		c->drive[i].path_on_host[0] = (char)('a' + i);
		c->drive[i].rate_limiter.bandwidth.size = 7;
		c->drive[i].rate_limiter.bandwidth.refill_time = UINT64_MAX;
	}
	c->drive[1].is_root_device = true;
	c->nr_drives = 3;
	ck_assert(api_config_machine(c, &vm, &error));
	ck_assert_str_eq(vm.cmdline, "quiet pci=off root=/dev/vda rw -- x");
	ck_assert_uint_eq(vm.nr_disks, 3);
	ck_assert_str_eq(vm.disk[0].path, "b");
	ck_assert_str_eq(vm.disk[1].path, "a");
	ck_assert_uint_eq(c->drive[1].number, 0);
	ck_assert_uint_eq(c->drive[2].number, 2);
	ck_assert_uint_eq(vm.disk[0].rate.bytes.size, 7);
	ck_assert_uint_gt(vm.disk[0].rate.bytes.refill_ns, 1ull << 62);
	ck_assert_uint_eq(vm.memory, MIB(128));
	memset(c->boot.boot_args, 'a', sizeof(c->boot.boot_args) - 1);
	ck_assert(!api_config_machine(c, &vm, &error));
}
END_TEST

/* --- the socket */

static char path[108];

static void open_socket(void)
{
	snprintf(path, sizeof(path), "/tmp/mote-unit-api-%d", getpid());
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(loop_init(&loop), 0);
	set_up();
	ck_assert_int_eq(api_open(&api, &loop, path), 0);
}

static void close_socket(void)
{
	api_leave(&api);
	api_leave(&api);
	ck_assert_int_lt(access(path, F_OK), 0);
	loop_fini(&loop);
}

static int client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, sizeof(path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	return fd;
}

static void run_loop(void)
{
	for (int i = 0; i < 50; i++)
		loop_step(&loop, 0);
}

/* All that has come, as a string; -1 when the other end has closed. */
static ssize_t receive(int fd)
{
	ssize_t n = recv(fd, body, sizeof(body) - 1, MSG_DONTWAIT);

	body[MAX(n, 0)] = '\0';
	return n == 0 ? -1 : MAX(n, 0);
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(conversation)
{
	int fd = client();

	say(fd, "GET /version HT");
	run_loop();
	ck_assert_int_eq(receive(fd), 0);
	say(fd, "TP/1.1\r\n\r\nGET /version HTTP/1.1\r\n\r\n");
	run_loop();
	receive(fd);
	ck_assert_ptr_nonnull(strstr(strstr(body, "HTTP/1.1 200 \r\n") + 1,
				     "HTTP/1.1 200 \r\n"));
	say(fd, "PUT /vsock HTTP/1.1\r\nExpect: 100-continue\r\n"
		"Content-Length: 2\r\n\r\n");
	run_loop();
	receive(fd);
	ck_assert_str_eq(body, HTTP_CONTINUE);
	say(fd, "{}");
	run_loop();
	receive(fd);
	ck_assert_ptr_nonnull(strstr(body, "missing field `guest_cid`"));
	say(fd, "nonsense\r\n\r\n");
	run_loop();
	receive(fd);
	ck_assert_ptr_nonnull(strstr(body, "\\nAll previous unanswered"));
	ck_assert_int_eq(receive(fd), -1);
	close(fd);
}
END_TEST

/* A client that never reads: its requests stop being read, the others go on,
 * and the loop rests.
 */
START_TEST(stalled)
{
	static const char get[] = "GET /vm/config HTTP/1.1\r\n\r\n";
	int slow = client(), other = client();
	struct http_connection *c = &api.http.conn[0];
	struct epoll_event event;

	while (send(slow, get, strlen(get), MSG_DONTWAIT) > 0)
		;
	for (int i = 0; i < 20000; i++)
		loop_step(&loop, 0);
	/* It waits for room, which a socket has only when most is read. */
	ck_assert(c->out_len > 0 || c->again);
	ck_assert_int_eq(epoll_wait(loop.epoll_fd, &event, 1, 0), 0);
	say(other, get);
	run_loop();
	ck_assert_int_gt(receive(other), 0);
	close(slow);
	run_loop();
	ck_assert_ptr_null(c->server);
	close(other);
	run_loop();
	ck_assert_ptr_null(api.http.conn[1].server);
}
END_TEST

START_TEST(eleventh_client)
{
	int fd[HTTP_MAX_CONNECTIONS + 1];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client();
	run_loop();
	receive(fd[HTTP_MAX_CONNECTIONS]);
	ck_assert_str_eq(body, HTTP_TOO_MANY);
	ck_assert_int_eq(receive(fd[HTTP_MAX_CONNECTIONS]), -1);
	ck_assert_int_eq(receive(fd[0]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	run_loop();
	for (size_t i = 0; i < HTTP_MAX_CONNECTIONS; i++)
		ck_assert_ptr_null(api.http.conn[i].server);
}
END_TEST

START_TEST(socket_file)
{
	static struct api second;
	char long_path[200];
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	api_init(&second, "second", fake_start);
	ck_assert_int_eq(api_open(&second, &loop, path), -EADDRINUSE);
	ck_assert_int_eq(api_open(&second, &loop, ""), -ENOENT);
	memset(long_path, 'a', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	ck_assert_int_eq(api_open(&second, &loop, long_path), -ENAMETOOLONG);
	api_leave(&second);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("api");
	TCase *tc = tcase_create("bodies");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, requests);
	tcase_add_test(tc, start_twice);
	tcase_add_test(tc, paths);
	tcase_add_test(tc, pool_runs_out);
	tcase_add_test(tc, places);
	tcase_add_test(tc, text_sizes);
	tcase_add_test(tc, merge_by_name);
	tcase_add_test(tc, machine_of_config);
	suite_add_tcase(s, tc);

	tc = tcase_create("socket");
	tcase_add_checked_fixture(tc, open_socket, close_socket);
	tcase_add_test(tc, conversation);
	tcase_add_test(tc, stalled);
	tcase_add_test(tc, eleventh_client);
	tcase_add_test(tc, socket_file);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
