/* SPDX-License-Identifier: BSD-3-Clause */
/* One step of a key exchange on the public-key pool, for something that may be gone when it is done. */
#include <stdlib.h>
#include <string.h>

#include "v2_int.h"

static void ke_work(struct ike_job *j)
{
	struct v2_ke *ke = (struct v2_ke *)j;
	ke->err = ikec_ke(ke->group, &ke->dh, ke->peer, ke->peer_len, ke->shared, &ke->shared_len);
}

static void ke_done(struct ike_job *j)
{
	struct v2_ke *ke = (struct v2_ke *)j;
	if (ke->held) {
		*ke->held = NULL;
		ke->then(ke->of, ke);
	}
	ikec_dh_free(ke->dh);
	cv_secret_zero(ke->shared, sizeof(ke->shared));
}

void v2_ke_run(struct v2_sa *sa, struct v2_ke **held, void *of, enum ike_group group, struct ikec_dh *dh,
	struct v2_view peer, void (*then)(void *of, struct v2_ke *ke))
{
	struct v2_ke *ke = calloc(1, sizeof(*ke));
	if (!ke)
		abort();
	ke->j.brief = ikec_ke_is_brief(group);
	ke->j.work = ke_work;
	ke->j.done = ke_done;
	ke->held = held;
	ke->of = of;
	ke->group = group;
	ke->dh = dh;
	if (peer.p)
		memcpy(ke->peer, peer.p, peer.len);
	ke->peer_len = peer.p ? peer.len : 0;
	ke->then = then;
	*held = ke;
	ike_job_run(sa->sa.ike, &sa->sa, &ke->j);
}

void v2_ke_forget(struct v2_ke **held)
{
	if (*held)
		(*held)->held = NULL;
	*held = NULL;
}
