// SPDX-License-Identifier: Apache-2.0
/*
 * api_main.c - `mote api`, and mote called as `firecracker`
 *
 * Firecracker's flags, as its clients give them.  Those of things that are not
 * here are known by name, so that the refusal can say so.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "vmm/api.h"
#include "vmm/api_main.h"
#include "vmm/run.h"

#define STATUS_BAD_WORDS 153
#define MAX_ID		 64

static const char usage[] =
	"Usage: mote api [OPTION]...      (the same as: firecracker "
	"[OPTION]...)\n"
	"Waits on a Unix socket for the requests of Firecracker's REST API, "
	"which\n"
	"describe one machine, start it and command it.\n"
	"\n"
	"      --api-sock PATH     the socket, made there for its owner alone\n"
	"                          (/run/firecracker.socket); a file of that "
	"name\n"
	"                          must not exist\n"
	"      --id ID             name of the machine, 1 to 64 letters, "
	"digits "
	"and\n"
	"                          hyphens (anonymous-instance)\n"
	"      --config-file FILE  start the machine that this JSON file "
	"describes\n"
	"      --no-api            no socket; only with --config-file\n"
	"      --boot-timer        a page where the guest says that it is up\n"
	"      --no-seccomp        taken for the sake of clients; changes "
	"nothing\n"
	"      --verbose           say more on standard error\n"
	"      --version           print the version\n"
	"  -h, --help              this text\n"
	"\n"
	"Exit status: 0 the guest powered off or reset, 1 failure, 152 bad\n"
	"configuration, 153 bad option, 156 SIGHUP, 128+N other signals.\n"
	"\n"
	"Example:\n"
	"  mote api --api-sock /tmp/vm1.sock &\n"
	"  put() {\n"
	"    curl --unix-socket /tmp/vm1.sock -X PUT -d \"$2\" "
	"http://localhost/$1\n"
	"  }\n"
	"  put machine-config '{\"vcpu_count\": 2, \"mem_size_mib\": 512}'\n"
	"  put boot-source '{\"kernel_image_path\": \"vmlinux\",\n"
	"    \"boot_args\": \"console=ttyS0 reboot=k panic=1\"}'\n"
	"  put drives/rootfs '{\"drive_id\": \"rootfs\", \"path_on_host\": "
	"\"root.img\",\n"
	"    \"is_root_device\": true}'\n"
	"  put actions '{\"action_type\": \"InstanceStart\"}'\n";

enum {
	OPT_SOCKET = 256,
	OPT_ID,
	OPT_FILE,
	OPT_NO_API,
	OPT_TIMER,
	OPT_NO_SECCOMP,
	OPT_VERBOSE,
	OPT_VERSION,
	OPT_IGNORED,
	OPT_LATER,
};

static const struct option long_options[] = {
	{ "api-sock", required_argument, NULL, OPT_SOCKET },
	{ "id", required_argument, NULL, OPT_ID },
	{ "config-file", required_argument, NULL, OPT_FILE },
	{ "no-api", no_argument, NULL, OPT_NO_API },
	{ "boot-timer", no_argument, NULL, OPT_TIMER },
	{ "no-seccomp", no_argument, NULL, OPT_NO_SECCOMP },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	/* The jailer's, for metrics. */
	{ "start-time-us", required_argument, NULL, OPT_IGNORED },
	{ "start-time-cpu-us", required_argument, NULL, OPT_IGNORED },
	{ "parent-cpu-time-us", required_argument, NULL, OPT_IGNORED },
	{ "seccomp-filter", required_argument, NULL, OPT_LATER },
	{ "metadata", required_argument, NULL, OPT_LATER },
	{ "log-path", required_argument, NULL, OPT_LATER },
	{ "level", required_argument, NULL, OPT_LATER },
	{ "module", required_argument, NULL, OPT_LATER },
	{ "show-level", no_argument, NULL, OPT_LATER },
	{ "show-log-origin", no_argument, NULL, OPT_LATER },
	{ "metrics-path", required_argument, NULL, OPT_LATER },
	{ "snapshot-version", no_argument, NULL, OPT_LATER },
	{ "describe-snapshot", required_argument, NULL, OPT_LATER },
	{ "http-api-max-payload-size", required_argument, NULL, OPT_LATER },
	{ "mmds-size-limit", required_argument, NULL, OPT_LATER },
	{ "enable-pci", no_argument, NULL, OPT_LATER },
	{ NULL, 0, NULL, 0 },
};

static bool is_id(const char *word)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-";
	size_t len = strlen(word);

	return len > 0 && len <= MAX_ID && strspn(word, allowed) == len;
}

/* What was read so far. */
struct words {
	struct run_api run;
	bool no_api, help, version;
};

/* One option; false after a refusal. */
static bool take_option(struct words *w, int option, const char *name)
{
	switch (option) {
	case OPT_SOCKET:
		w->run.socket = optarg;
		return true;
	case OPT_ID:
		w->run.id = optarg;
		if (is_id(optarg))
			return true;
		log_error("--id %s: give 1 to %d letters, digits and hyphens",
			  optarg, MAX_ID);
		return false;
	case OPT_FILE:
		w->run.file = optarg;
		return true;
	case OPT_NO_API:
		w->no_api = true;
		return true;
	case OPT_TIMER:
		w->run.boot_timer = true;
		return true;
	case OPT_VERBOSE:
		w->run.verbose = true;
		return true;
	case OPT_VERSION:
		w->version = true;
		return true;
	case 'h':
		w->help = true;
		return true;
	case OPT_NO_SECCOMP:
		w->run.no_seccomp = true;
		return true;
	case OPT_IGNORED:
		return true;
	case OPT_LATER:
		log_error("--%s: not supported yet", name);
		return false;
	default:
		log_error("%s: no such option, or its value is missing; see "
			  "mote api --help",
			  name);
		return false;
	}
}

static bool take_words(struct words *w, int argc, char **argv)
{
	int option, index = 0;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+h", long_options, &index)) !=
	       -1) {
		if (!take_option(w, option,
				 option == '?' ? argv[MAX(optind - 1, 1)]
					       : long_options[index].name))
			return false;
	}
	if (optind < argc)
		log_error("%s: mote api takes options only; see mote api "
			  "--help",
			  argv[optind]);
	else if (w->no_api && !w->run.file)
		log_error("--no-api: give --config-file, too: nothing else "
			  "would describe the machine");
	else
		return true;
	return false;
}

int api_main(int argc, char **argv)
{
	struct words w = {
		.run = { .socket = API_SOCKET, .id = "anonymous-instance" },
	};

	if (!take_words(&w, argc, argv))
		return STATUS_BAD_WORDS;
	if (w.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (w.version) {
		/* Clients take the second word. */
		puts("Firecracker v" API_VERSION "\nmote " MOTE_VERSION);
		return 0;
	}
	if (w.no_api)
		w.run.socket = NULL;
	return run_api(&w.run);
}
