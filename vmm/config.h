// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - what the operator asked for: `mote run`'s options as a struct
 *
 * Pure: words in, values or a refusal out; nothing is opened here.
 */
#ifndef MOTE_VMM_CONFIG_H
#define MOTE_VMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rate.h"
#include "base/util.h"
#include "seccomp/cgroup.h"
#include "seccomp/layers.h"

#define CONFIG_MAX_DISKS   14
#define CONFIG_SERIAL_LEN  20
#define CONFIG_MAX_QUEUES  8 /* of a disk */
#define CONFIG_MAX_NETS	   4
#define CONFIG_MAX_PORTS   16 /* ports of one interface */
#define CONFIG_MAX_VCPUS   64
#define CONFIG_MIN_MEMORY  MIB(16)
#define CONFIG_MAX_MEMORY  GIB(512)
#define CONFIG_CID	   3 /* of a vsock device without cid= */
#define CONFIG_MAX_CGROUPS 8

/* How a disk's requests are done: by io_uring; one after the other; or by
 * io_uring where the host has it.
 */
enum disk_engine { ENGINE_AUTO, ENGINE_URING, ENGINE_SYNC };

struct disk_config {
	char *path; /* points into argv, cut at the first comma */
	bool read_only;
	bool direct;
	bool writethrough;
	const char *serial; /* 1 to CONFIG_SERIAL_LEN characters, or NULL */
	enum disk_engine engine;
	unsigned int queues; /* 1 to CONFIG_MAX_QUEUES */
	struct rate_config rate;
};

/* A port of the host that leads to one of the guest. */
struct publish_config {
	uint16_t host, guest;
	bool udp; /* else tcp */
};

struct net_config {
	enum net_kind { NET_TAP, NET_FD, NET_USER } kind;
	const char *tap; /* NET_TAP: interface name, points into argv */
	int fd;		 /* NET_FD */
	/* NET_USER */
	struct publish_config publish[CONFIG_MAX_PORTS];
	unsigned int nr_publish;
	bool loopback; /* the guest may reach the host's own services */
	bool has_mac;
	uint8_t mac[6];
	uint16_t mtu; /* 0: not given */
	struct rate_config rx, tx;
};

struct vsock_config {
	char *path; /* points into argv; NULL: no vsock device */
	uint32_t cid;
};

struct jail_config {
	bool wanted;
	const char *dir; /* points into argv; NULL: an empty root */
	bool has_uid, has_gid;
	uint32_t uid, gid;
	bool new_net;
	const char *netns; /* a file; NULL: none to join */
	struct cgroup_config cgroup[CONFIG_MAX_CGROUPS];
	unsigned int nr_cgroups;
};

struct vm_config {
	const char *kernel;  /* never NULL */
	const char *initrd;  /* or NULL */
	const char *cmdline; /* the operator's words, or "" */
	bool cmdline_whole;  /* and none of ours before them */
	unsigned int nr_vcpus;
	uint64_t memory; /* bytes, page aligned */
	struct disk_config disk[CONFIG_MAX_DISKS];
	unsigned int nr_disks;
	struct net_config net[CONFIG_MAX_NETS];
	unsigned int nr_nets;
	uint64_t timeout_ns; /* 0: none */
	bool rng_given;
	struct rate_config rng;
	bool console_given;
	struct rate_config console;
	bool balloon_given;	   /* even if it asks for 0 */
	uint64_t balloon;	   /* bytes asked for from the start */
	uint64_t balloon_stats_ns; /* interval; 0: no statistics */
	bool balloon_stays;	   /* also when the guest has no memory left */
	struct vsock_config vsock;
	const char *api_socket; /* or NULL */
	bool early_serial;
	bool i8042; /* its reset command, whatever the command line says */
	bool boot_timer;
	const char *vcpu_name; /* of threads, before their number, or NULL */
	bool timing;
	bool copy;
	bool verbose;
	bool allow_slow;
	bool no_seccomp;
	struct jail_config jail;
	bool lockdown_report;
	uint32_t required; /* 1 << LAYER_*: those of --require */
};

enum config_result { CONFIG_OK, CONFIG_HELP, CONFIG_REFUSED };

/* Reads the words after `mote run`.  CONFIG_REFUSED: TEXT is the one line that
 * names the option and the remedy.  CONFIG points into ARGV.
 */
enum config_result config_parse(struct vm_config *config, int argc, char **argv,
				char *text, size_t len);

/* A size such as 512, 512M, 2G (a bare number is MiB).  False when it is not
 * one or does not fit 64 bits.
 */
bool config_parse_size(const char *word, uint64_t *bytes);

/* The address of one interface, six pairs of hexadecimal digits with colons
 * between them, as bytes.  False when WORD is none.
 */
bool config_parse_mac(const char *word, uint8_t mac[6]);

/* The whole kernel command line: our defaults, unless the operator's words
 * speak of the same thing, and then the words.  False when LEN is too small.
 */
bool config_cmdline(const struct vm_config *config, char *buf, size_t len);

/* Whether WORD is one of CMDLINE's words for the kernel: blanks separate them
 * but in double quotes, and those after "--" are init's.  WORD may end in '='
 * to match any value.
 */
bool config_cmdline_has(const char *cmdline, const char *word);

extern const char config_help[];

#endif
