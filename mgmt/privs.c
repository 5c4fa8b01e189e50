/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cv_log.h"
#include "privs.h"

#define DEFAULT_USER "culvert"

int privs_lookup(const char *user, const char *group, struct privs *p)
{
	*p = (struct privs){.uid = geteuid(), .gid = getegid()};
	if (geteuid() != 0) {
		if (user || group)
			cv_warn("main", "not started as root: --user and --group have no effect");
		return 0;
	}
	const struct passwd *pw = getpwnam(user ? user : DEFAULT_USER);
	if (!pw && user)
		return -ENOENT;
	if (pw) {
		*p = (struct privs){
			.change = true, .uid = pw->pw_uid, .gid = pw->pw_gid, .user = user ? user : DEFAULT_USER};
	}
	if (!group)
		return 0;
	const struct group *gr = getgrnam(group);
	if (!gr)
		return -ENOENT;
	p->change = true;
	p->gid = gr->gr_gid;
	return 0;
}

void privs_protect_memory(void)
{
	const struct rlimit none = {0, 0}, all = {RLIM_INFINITY, RLIM_INFINITY};

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	/* what is allocated after the capabilities are gone must still be lockable, or it would fail */
	if (setrlimit(RLIMIT_MEMLOCK, &all) < 0 || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		cv_notice("main", "memory is not locked (%s): keys might be written to swap", strerror(errno));
}

static int drop_capabilities(void)
{
	cap_t none = cap_init(); /* all sets empty */
	int rc = none && cap_set_proc(none) == 0 ? 0 : -errno;

	cap_free(none);
	if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = -errno;
	return rc;
}

int privs_drop(const struct privs *p)
{
	if (p->change) {
		if ((p->user ? initgroups(p->user, p->gid) : setgroups(0, NULL)) < 0 || setgid(p->gid) < 0 ||
			setuid(p->uid) < 0)
			return -errno;
	}
	int rc = drop_capabilities();
	/* the kernel makes a process dumpable again when it changes its user */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return rc;
}
