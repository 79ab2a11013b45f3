// SPDX-License-Identifier: Apache-2.0
/*
 * config_jail.c - the options of `mote run` that speak of the lock-down
 */
#include <string.h>

#include "vmm/config_parse.h"

#define MAX_ID	  4294967294u /* the number after it means "none" */
#define MAX_TASKS 4194304     /* PID_MAX_LIMIT */

static_assert(NR_LAYERS <= 32, "vm_config.required");

bool parse_jail(struct parse *p, char *word)
{
	if (p->config->jail.wanted)
		return parse_refuse(p, "--jail: given twice");
	if (word && !*word)
		return parse_refuse(p, "--jail=: give an empty directory, or "
				       "--jail alone");
	p->config->jail.wanted = true;
	p->config->jail.dir = word;
	return true;
}

static bool parse_id(struct parse *p, const char *option, const char *word,
		     uint32_t *id)
{
	const char *end;
	uint64_t n;

	if (!parse_number(word, &n, &end) || *end || n < 1 || n > MAX_ID)
		return parse_refuse(p,
				    "%s %s: give a number from 1 to %u; a jail "
				    "is not root's",
				    option, word, MAX_ID);
	*id = (uint32_t)n;
	return true;
}

bool parse_uid(struct parse *p, char *word)
{
	p->config->jail.has_uid = true;
	return parse_id(p, "--uid", word, &p->config->jail.uid);
}

bool parse_gid(struct parse *p, char *word)
{
	p->config->jail.has_gid = true;
	return parse_id(p, "--gid", word, &p->config->jail.gid);
}

static bool set_cgroup_limit(struct parse *p, struct cgroup_config *c,
			     const char *flag)
{
	const char *end;

	if (strncmp(flag, "memory=", 7) == 0 &&
	    config_parse_size(flag + 7, &c->memory) && c->memory > 0)
		return true;
	/* Both have decimals, and billionths will do for both. */
	if (strncmp(flag, "cpus=", 5) == 0 &&
	    parse_seconds(flag + 5, &c->cpu_ns) && c->cpu_ns > 0)
		return true;
	if (strncmp(flag, "pids=", 5) == 0 &&
	    parse_number(flag + 5, &c->tasks, &end) && !*end && c->tasks > 0 &&
	    c->tasks <= MAX_TASKS)
		return true;
	return parse_refuse(p,
			    "--cgroup %s,%s: after the path come "
			    "memory=SIZE, cpus=N and pids=N, above 0",
			    c->path, flag);
}

bool parse_cgroup(struct parse *p, char *word)
{
	struct jail_config *jail = &p->config->jail;
	struct cgroup_config *c = &jail->cgroup[jail->nr_cgroups];
	char *save = NULL, *flag;

	if (jail->nr_cgroups == CONFIG_MAX_CGROUPS)
		return parse_refuse(p, "--cgroup %s: at most %d", word,
				    CONFIG_MAX_CGROUPS);
	if (*word != '/')
		return parse_refuse(p,
				    "--cgroup %s: give a path such as "
				    "/sys/fs/cgroup/machines/one",
				    word);
	*c = (struct cgroup_config){ .path = word };
	strtok_r(word, ",", &save);
	while ((flag = strtok_r(NULL, ",", &save))) {
		if (!set_cgroup_limit(p, c, flag))
			return false;
	}
	jail->nr_cgroups++;
	return true;
}

bool parse_netns(struct parse *p, char *word)
{
	struct jail_config *jail = &p->config->jail;

	if (jail->new_net || jail->netns)
		return parse_refuse(p, "--netns %s: given twice", word);
	jail->new_net = strcmp(word, "new") == 0;
	if (jail->new_net)
		return true;
	if (!strchr(word, '/'))
		return parse_refuse(p,
				    "--netns %s: say new, or a path such as "
				    "/run/netns/%s",
				    word, word);
	jail->netns = word;
	return true;
}

bool parse_require(struct parse *p, char *word)
{
	char *save = NULL;
	char *name = strtok_r(word, ",", &save);

	if (!name)
		return parse_refuse(p, "--require '': give a layer, such as "
				       "landlock");
	for (; name; name = strtok_r(NULL, ",", &save)) {
		int layer = layer_find(name, strlen(name));

		if (layer < 0)
			return parse_refuse(p,
					    "--require %s: no such layer; "
					    "--lockdown-report shows them all",
					    name);
		p->config->required |= 1u << layer;
	}
	return true;
}

bool parse_jail_check(struct parse *p)
{
	const struct jail_config *jail = &p->config->jail;
	const char *option = jail->has_uid		    ? "--uid"
			     : jail->has_gid		    ? "--gid"
			     : jail->nr_cgroups		    ? "--cgroup"
			     : jail->new_net || jail->netns ? "--netns"
							    : NULL;

	if (jail->wanted && p->config->api_socket)
		return parse_refuse(p, "--jail: does not go with --api-sock");
	for (unsigned int i = 0; i < p->config->nr_nets; i++) {
		if (jail->wanted && p->config->net[i].kind == NET_USER)
			return parse_refuse(p, "--jail: does not go with --net "
					       "user; give a tap or fd=");
	}
	if (jail->has_uid != jail->has_gid)
		return parse_refuse(p, "%s: give --uid and --gid both", option);
	if (!option || jail->wanted)
		return true;
	return parse_refuse(p, "%s: is for --jail, which is not there", option);
}
