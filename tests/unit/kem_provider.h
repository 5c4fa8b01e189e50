/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An OpenSSL provider that calls itself ML-KEM-768 and is not: X25519 in the form of a KEM, filled up to the lengths of
 * the real one. OpenSSL 3.0 has no ML-KEM; this stands in for it where it is about the way through OpenSSL's interface
 * and through IKE, where the two ends do different things. It says nothing about ML-KEM itself.
 */
#ifndef TESTS_KEM_PROVIDER_H
#define TESTS_KEM_PROVIDER_H

#include <stdbool.h>

/* From now on OpenSSL has it, in the whole process. */
bool kem_provider_load(void);

#endif
