// SPDX-License-Identifier: Apache-2.0
/*
 * config_devices.c - the options of `mote run` that ask for devices
 *
 * Each is a word with commas in it: what the device stands on comes first, its
 * own options follow.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "virtio/net.h"
#include "virtio/tap.h"
#include "vmm/config_parse.h"

#define MIN_STATS_NS 100000000u

/* The argument of FLAG if that is NAME (which ends in '='), or NULL. */
static const char *flag_value(const char *flag, const char *name)
{
	size_t len = strlen(name);

	return strncmp(flag, name, len) == 0 ? flag + len : NULL;
}

static bool is_serial(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return len > 0 && len <= CONFIG_SERIAL_LEN;
}

static bool set_disk_cache(struct parse *p, struct disk_config *d,
			   const char *word)
{
	d->writethrough = strcmp(word, "writethrough") == 0;
	return d->writethrough || strcmp(word, "writeback") == 0 ||
	       parse_refuse(
		       p, "-d %s,cache=%s: cache is writeback or writethrough",
		       d->path, word);
}

static bool set_disk_engine(struct parse *p, struct disk_config *d,
			    const char *word)
{
	static const char *const name[] = {
		[ENGINE_AUTO] = "auto",
		[ENGINE_URING] = "uring",
		[ENGINE_SYNC] = "sync",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(name); i++) {
		if (strcmp(word, name[i]) != 0)
			continue;
		d->engine = (enum disk_engine)i;
		return true;
	}
	return parse_refuse(p, "-d %s,engine=%s: engine is auto, uring or sync",
			    d->path, word);
}

static bool set_disk_queues(struct parse *p, struct disk_config *d,
			    const char *word)
{
	const char *end;
	uint64_t queues;

	if (!parse_number(word, &queues, &end) || *end || queues < 1 ||
	    queues > CONFIG_MAX_QUEUES)
		return parse_refuse(
			p, "-d %s,queues=%s: give a number from 1 to %d",
			d->path, word, CONFIG_MAX_QUEUES);
	d->queues = (unsigned int)queues;
	return true;
}

static bool set_disk_serial(struct parse *p, struct disk_config *d,
			    const char *word)
{
	d->serial = word;
	return is_serial(word) ||
	       parse_refuse(p,
			    "-d %s,serial=: give 1 to %d printable ASCII "
			    "characters, no comma",
			    d->path, CONFIG_SERIAL_LEN);
}

/* One of the words after a disk's file name. */
static bool set_disk_flag(struct parse *p, struct disk_config *d,
			  struct limit_words *limit, const char *flag)
{
	static const struct {
		const char *name;
		bool (*set)(struct parse *p, struct disk_config *d,
			    const char *word);
	} option[] = {
		{ "cache=", set_disk_cache },
		{ "serial=", set_disk_serial },
		{ "engine=", set_disk_engine },
		{ "queues=", set_disk_queues },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(option); i++) {
		const char *value = flag_value(flag, option[i].name);

		if (value)
			return option[i].set(p, d, value);
	}
	if (strcmp(flag, "ro") == 0)
		d->read_only = true;
	else if (strcmp(flag, "direct") == 0)
		d->direct = true;
	else if (limit_word_tail(flag))
		return parse_limit(p, "-d ", limit, flag);
	else
		return parse_refuse(
			p,
			"-d %s,%s: after the file name come ro, direct, "
			"cache=, serial=, engine=, queues=, rate=, burst=, "
			"ops= and ops-burst=, nothing else",
			d->path, flag);
	return true;
}

bool parse_disk(struct parse *p, char *word)
{
	struct disk_config *d = &p->config->disk[p->config->nr_disks];
	struct limit_words limit = { 0 };
	char *save = NULL, *flag;

	if (p->config->nr_disks == CONFIG_MAX_DISKS)
		return parse_refuse(p, "-d %s: at most %d disks", word,
				    CONFIG_MAX_DISKS);
	*d = (struct disk_config){ .path = word, .queues = 1 };
	if (*word == ',' || *word == '\0')
		return parse_refuse(p, "-d '%s': give a file name first", word);
	strtok_r(word, ",", &save);
	while ((flag = strtok_r(NULL, ",", &save))) {
		if (!set_disk_flag(p, d, &limit, flag))
			return false;
	}
	if (!parse_limit_end(p, "-d", &limit, &d->rate))
		return false;
	p->config->nr_disks++;
	return true;
}

/* SIZE[,stats=SECS]; -m may follow, so what there is is checked at the end. */
bool parse_balloon(struct parse *p, char *word)
{
	static const char stats[] = "stats=";
	char *flag = strchr(word, ',');

	if (p->config->balloon_given)
		return parse_refuse(p, "--balloon %s: given twice", word);
	p->config->balloon_given = true;
	if (flag)
		*flag++ = '\0';
	if (!config_parse_size(word, &p->config->balloon))
		return parse_refuse(
			p,
			"--balloon %s: give a size such as 64M, and after "
			"it perhaps ,stats=SECONDS",
			word);
	if (!flag)
		return true;
	if (strncmp(flag, stats, strlen(stats)) != 0 ||
	    !parse_seconds(flag + strlen(stats),
			   &p->config->balloon_stats_ns) ||
	    p->config->balloon_stats_ns < MIN_STATS_NS)
		return parse_refuse(p,
				    "--balloon %s,%s: after the size comes "
				    "stats=SECONDS, 0.1 or more, nothing else",
				    word, flag);
	return true;
}

/* A device that has no other words than those of a rate limit. */
static bool parse_rate_words(struct parse *p, const char *option, char *word,
			     bool *given, struct rate_config *rate)
{
	struct limit_words words = { 0 };
	char *save = NULL, *flag;
	char before[16];

	if (*given)
		return parse_refuse(p, "%s %s: given twice", option, word);
	flag = strtok_r(word, ",", &save);
	if (!flag)
		return parse_refuse(p, "%s '': give rate= or ops=", option);
	for (; flag; flag = strtok_r(NULL, ",", &save)) {
		if (!limit_word_tail(flag))
			return parse_refuse(
				p,
				"%s %s: give rate=, burst=, ops= and "
				"ops-burst=, nothing else",
				option, flag);
		snprintf(before, sizeof(before), "%s ", option);
		if (!parse_limit(p, before, &words, flag))
			return false;
	}
	*given = true;
	return parse_limit_end(p, option, &words, rate);
}

bool parse_rng(struct parse *p, char *word)
{
	return parse_rate_words(p, "--rng", word, &p->config->rng_given,
				&p->config->rng);
}

bool parse_console(struct parse *p, char *word)
{
	return parse_rate_words(p, "--console", word, &p->config->console_given,
				&p->config->console);
}

/* Six pairs of hexadecimal digits; the address of one interface. */
static bool parse_mac(const char *word, uint8_t mac[6])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < 17; i++) {
		const char *digit = strchr(digits, word[i] | 0x20);

		if (i % 3 == 2) {
			if (word[i] != ':')
				return false;
			continue;
		}
		if (!word[i] || !digit || !*digit)
			return false;
		mac[i / 3] = (uint8_t)(mac[i / 3] << 4 | (digit - digits));
	}
	return word[17] == '\0' && !(mac[0] & 1) &&
	       memcmp(mac, "\0\0\0\0\0\0", 6) != 0;
}

static bool set_net_tap(struct parse *p, struct net_config *n, const char *word)
{
	size_t len = strlen(word);

	n->kind = NET_TAP;
	n->tap = word;
	if (len == 0 || len > TAP_MAX_NAME || strpbrk(word, "/%: "))
		return parse_refuse(
			p,
			"--net tap=%s: an interface's name has 1 to %d "
			"characters and no blank, '/', ':' or '%%'",
			word, TAP_MAX_NAME);
	return true;
}

static bool set_net_fd(struct parse *p, struct net_config *n, const char *word)
{
	const char *end;
	uint64_t fd;

	if (!parse_number(word, &fd, &end) || *end || fd < 3 || fd > INT_MAX)
		return parse_refuse(
			p,
			"--net fd=%s: give the number, 3 or more, of an "
			"open tap descriptor",
			word);
	n->kind = NET_FD;
	n->fd = (int)fd;
	return true;
}

/* A limit's word holds for both directions unless one is named before it. */
static bool set_net_limit(struct parse *p, struct limit_words limit[2],
			  const char *flag, bool *known)
{
	bool rx = strncmp(flag, "rx-", 3) == 0;
	bool tx = strncmp(flag, "tx-", 3) == 0;
	const char *word = rx || tx ? flag + 3 : flag;

	*known = limit_word_tail(word);
	if (!*known)
		return true;
	if (rx || tx)
		return parse_limit(p, rx ? "--net rx-" : "--net tx-",
				   &limit[tx], word);
	return parse_limit(p, "--net ", &limit[0], word) &&
	       parse_limit(p, "--net ", &limit[1], word);
}

static bool parse_port(const char *word, uint16_t *port, const char **end)
{
	uint64_t value;

	if (!parse_number(word, &value, end) || value < 1 || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* HOST:GUEST[/tcp|/udp] */
static bool parse_publish(const char *word, struct publish_config *publish)
{
	const char *end;

	if (!parse_port(word, &publish->host, &end) || *end != ':' ||
	    !parse_port(end + 1, &publish->guest, &end))
		return false;
	publish->udp = strcmp(end, "/udp") == 0;
	return publish->udp || *end == '\0' || strcmp(end, "/tcp") == 0;
}

static bool is_published(const struct net_config *n,
			 const struct publish_config *wanted)
{
	for (unsigned int i = 0; i < n->nr_publish; i++) {
		if (n->publish[i].host == wanted->host &&
		    n->publish[i].udp == wanted->udp)
			return true;
	}
	return false;
}

static bool add_publish(struct parse *p, struct net_config *n, const char *word)
{
	struct publish_config *publish = &n->publish[n->nr_publish];

	if (n->kind != NET_USER)
		return parse_refuse(
			p, "--net publish=%s: is for --net user only", word);
	if (n->nr_publish == CONFIG_MAX_PORTS)
		return parse_refuse(p,
				    "--net publish=%s: at most %d ports of one "
				    "interface",
				    word, CONFIG_MAX_PORTS);
	if (!parse_publish(word, publish))
		return parse_refuse(
			p,
			"--net publish=%s: give a port of the host and one of "
			"the guest, such as 8080:80 or 5353:53/udp",
			word);
	for (const struct net_config *o = p->config->net; o <= n; o++) {
		if (is_published(o, publish))
			return parse_refuse(p,
					    "--net publish=%s: this port of "
					    "the host is given twice",
					    word);
	}
	n->nr_publish++;
	return true;
}

static bool set_net_option(struct parse *p, struct net_config *n,
			   const char *flag)
{
	const char *end;
	uint64_t mtu;

	if (strncmp(flag, "mac=", 4) == 0) {
		n->has_mac = parse_mac(flag + 4, n->mac);
		return n->has_mac ||
		       parse_refuse(
			       p,
			       "--net %s: give the address of one interface, "
			       "such as 52:54:00:12:34:56",
			       flag);
	}
	if (strncmp(flag, "mtu=", 4) == 0) {
		if (!parse_number(flag + 4, &mtu, &end) || *end ||
		    mtu < NET_MIN_MTU || mtu > NET_MAX_MTU)
			return parse_refuse(
				p, "--net %s: give an MTU from %u to %u", flag,
				NET_MIN_MTU, NET_MAX_MTU);
		n->mtu = (uint16_t)mtu;
		return true;
	}
	if (strncmp(flag, "publish=", 8) == 0)
		return add_publish(p, n, flag + 8);
	if (strcmp(flag, "loopback") == 0 && n->kind == NET_USER) {
		n->loopback = true;
		return true;
	}
	return parse_refuse(
		p,
		"--net %s: after tap=NAME, fd=N or user come mac=, mtu=, "
		"rate=, "
		"burst=, ops= and ops-burst=, after user also publish= and "
		"loopback, nothing else",
		flag);
}

/* Whether an earlier --net has what may be there once only. */
static bool check_net(struct parse *p, const struct net_config *n)
{
	for (const struct net_config *o = p->config->net; o < n; o++) {
		if (n->kind == NET_TAP && o->kind == NET_TAP &&
		    strcmp(n->tap, o->tap) == 0)
			return parse_refuse(p, "--net tap=%s: given twice",
					    n->tap);
		if (n->kind == NET_FD && o->kind == NET_FD && n->fd == o->fd)
			return parse_refuse(p, "--net fd=%d: given twice",
					    n->fd);
		if (n->has_mac && o->has_mac && !memcmp(n->mac, o->mac, 6))
			return parse_refuse(
				p, "--net: two interfaces have the same "
				   "mac=; give each its own");
	}
	return true;
}

bool parse_net(struct parse *p, char *word)
{
	struct net_config *n = &p->config->net[p->config->nr_nets];
	struct limit_words limit[2] = { 0 }; /* rx, tx */
	char *save = NULL, *flag;
	bool ok;

	if (p->config->nr_nets == CONFIG_MAX_NETS)
		return parse_refuse(p, "--net %s: at most %d interfaces", word,
				    CONFIG_MAX_NETS);
	*n = (struct net_config){ .kind = NET_USER, .fd = -1 };
	flag = *word == ',' ? NULL : strtok_r(word, ",", &save);
	if (flag && strncmp(flag, "tap=", 4) == 0)
		ok = set_net_tap(p, n, flag + 4);
	else if (flag && strncmp(flag, "fd=", 3) == 0)
		ok = set_net_fd(p, n, flag + 3);
	else if (flag && strcmp(flag, "user") == 0)
		ok = true;
	else
		ok = parse_refuse(
			p, "--net '%s': give user, tap=NAME or fd=N first",
			word);
	while (ok && (flag = strtok_r(NULL, ",", &save))) {
		bool known;

		ok = set_net_limit(p, limit, flag, &known) &&
		     (known || set_net_option(p, n, flag));
	}
	ok = ok && parse_limit_end(p, "--net", &limit[0], &n->rx) &&
	     parse_limit_end(p, "--net", &limit[1], &n->tx) && check_net(p, n);
	p->config->nr_nets += ok;
	return ok;
}

static bool set_cid(struct parse *p, const char *word)
{
	const char *end;
	uint64_t cid;

	/* virtio 1.2 §5.10.4: the others are reserved */
	if (!parse_number(word, &cid, &end) || *end || cid < 3 ||
	    cid >= UINT32_MAX)
		return parse_refuse(p,
				    "--vsock cid=%s: give a number from 3 to "
				    "4294967294",
				    word);
	p->config->vsock.cid = (uint32_t)cid;
	return true;
}

bool parse_vsock(struct parse *p, char *word)
{
	struct vsock_config *vsock = &p->config->vsock;
	char *save = NULL, *part;

	if (vsock->path)
		return parse_refuse(
			p, "--vsock %s: given twice; a machine has one", word);
	vsock->cid = CONFIG_CID;
	for (part = strtok_r(word, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		if (strncmp(part, "cid=", 4) == 0) {
			if (!set_cid(p, part + 4))
				return false;
		} else if (strncmp(part, "path=", 5) == 0 && part[5]) {
			vsock->path = part + 5;
		} else {
			return parse_refuse(p,
					    "--vsock %s: give path=SOCKET and "
					    "perhaps cid=N, nothing else",
					    part);
		}
	}
	if (!vsock->path)
		return parse_refuse(p, "--vsock: path=SOCKET is missing");
	return true;
}
