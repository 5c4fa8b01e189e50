/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages of the pipeline whose calls, packets and TSC cycles are counted (struct cv_stage_counters): one enum
 * value and one name each. A stage's cycles do not include those of the stages it calls. */
#ifndef DATAPLANE_STAGES_H
#define DATAPLANE_STAGES_H

#define STAGES(X)                                                                                                      \
	X(RX, "rx")                                                                                                    \
	X(ETHER_INPUT, "ether-input")                                                                                  \
	X(IP_INPUT, "ip-input")                                                                                        \
	X(ROUTE, "route")                                                                                              \
	X(IP_OUTPUT, "ip-output")                                                                                      \
	X(TX, "tx")                                                                                                    \
	X(SPD_OUT, "spd-out")                                                                                          \
	X(SPD_IN, "spd-in")                                                                                            \
	X(ESP_OUT, "esp-out")                                                                                          \
	X(ESP_IN, "esp-in")                                                                                            \
	X(LOCAL, "local")                                                                                              \
	X(CRYPTO, "crypto")                                                                                            \
	X(FAST, "fast")                                                                                                \
	X(FILTER, "filter")                                                                                            \
	X(TRACK, "track")

enum stage {
#define X(sym, name) STAGE_##sym,
	STAGES(X)
#undef X
		STAGE_COUNT
};

#endif
