/* SPDX-License-Identifier: BSD-3-Clause */
/* For tools/lint only: the loops that libraries define as macros, which cppcheck must know to read past them. */

#define json_array_foreach(array, index, value)                                                                        \
	for (index = 0; index < json_array_size(array) && (value = json_array_get(array, index)); index++)
#define json_object_foreach(object, key, value)                                                                        \
	for (void *it = json_object_iter(object);                                                                      \
		it && (key = json_object_iter_key(it)) && (value = json_object_iter_value(it));                        \
		it = json_object_iter_next(object, it))
#define LY_LIST_FOR(start, element) for ((element) = (start); (element); (element) = (element)->next)
#define LY_ARRAY_FOR(array, index) for ((index) = 0; (index) < LY_ARRAY_COUNT(array); ++(index))
