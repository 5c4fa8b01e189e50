/* SPDX-License-Identifier: BSD-3-Clause */
#include "dscp.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	uint8_t value;
} names[] = {{"default", 0}, {"cs1", 8}, {"cs2", 16}, {"cs3", 24}, {"cs4", 32}, {"cs5", 40}, {"cs6", 48}, {"cs7", 56},
	{"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18}, {"af22", 20}, {"af23", 22}, {"af31", 26}, {"af32", 28},
	{"af33", 30}, {"af41", 34}, {"af42", 36}, {"af43", 38}, {"ef", 46}};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

int dscp_by_name(const char *name)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].value;
	return -1;
}

const char *dscp_name(unsigned value)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (names[i].value == value)
			return names[i].name;
	return NULL;
}

uint64_t dscp_of_precedence(unsigned precedence)
{
	return UINT64_C(0xff) << 8 * precedence;
}

uint64_t dscp_of_tos(unsigned tos)
{
	return UINT64_C(0x0101010101010101) << tos / 2;
}
