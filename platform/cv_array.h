/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays from malloc that double when they are full. For one thread at a time. */
#ifndef CV_ARRAY_H
#define CV_ARRAY_H

#include <stdlib.h>

/* The array with room for element n, which replaces the caller's; NULL when out of memory: then it is as it was. cap:
 * how many elements of size bytes fit. */
static inline void *cv_array_room(void *array, unsigned n, unsigned *cap, size_t size)
{
	if (n < *cap)
		return array;
	const unsigned more = *cap ? 2 * *cap : 16;
	void *p = realloc(array, more * size);
	if (p)
		*cap = more;
	return p;
}

/* The same where nothing can go on without memory. */
static inline void *cv_array_need(void *array, unsigned n, unsigned *cap, size_t size)
{
	void *p = cv_array_room(array, n, cap, size);
	if (!p)
		abort();
	return p;
}

#endif
