/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Certificates and signatures for IKE (RFC 4945, RFC 5280, RFC 7427), over OpenSSL. A trust point is what one PKI gives
 * us: the CA certificates to believe, optionally our own certificate with its key, and the CRLs. It is loaded from PEM
 * files as a whole, never changes afterwards but for CRL files, which are read again when they have changed, and is
 * counted by references, so that work on the public-key pool may outlive the configuration it came from.
 *
 * "pool" marks what is expensive (public-key operations, files): it belongs on the pool; everything is thread safe.
 * Errors: 0 or a negative errno; -EBADMSG = the signature or chain is not good.
 */
#ifndef CRYPTO_PKI_H
#define CRYPTO_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKI_SIG_MAX 1024u /* longest signature: RSA with 8192 bits */
#define PKI_CHAIN_MAX 8u  /* certificates sent or taken for one end */
#define PKI_CA_MAX 16u	  /* CA certificates of one trust point */
#define PKI_KEYID_LEN 20u /* SHA-1 of a SubjectPublicKeyInfo: how a CERTREQ names a CA (RFC 7296 3.7) */
#define PKI_NAME_MAX 256u /* a distinguished name as text for people, with its zero */
#define PKI_ERR_MAX 256u

/* A view of bytes. */
struct pki_blob {
	const uint8_t *p;
	size_t len;
};

/* ---- trust points ---- */

enum pki_revocation {
	PKI_REVOCATION_NONE = 0,
	PKI_REVOCATION_IF_PRESENT, /* a certificate on a CRL is refused; one without a CRL is taken */
	PKI_REVOCATION_REQUIRED,   /* every certificate of the chain needs a current CRL */
};
struct pki_files {
	const char **ca; /* PEM files, each with one or more certificates to trust */
	unsigned n_ca;
	const char *certificate; /* PEM: ours first, then its chain; NULL = this end only verifies */
	const char *key;	 /* PEM, not encrypted; nobody but root and this process may read it */
	/* PEM: one certificate of the same PKI whose RSA key decrypts instead of the one above, with its key; or NULL
	 */
	const char *encryption_certificate, *encryption_key;
	const char **crl; /* PEM files with one or more CRLs */
	unsigned n_crl;
	enum pki_revocation revocation;
	bool legacy; /* RSA below 2048 bits and SHA-1 in certificates are taken */
};
struct pki_tp;
/*
 * One reference to a new trust point, or NULL with err (PKI_ERR_MAX bytes) = what is wrong with which file; nothing of
 * a key is ever in it. Reads files: not for the fast path.
 */
struct pki_tp *pki_tp_load(const struct pki_files *f, char *err);
struct pki_tp *pki_tp_ref(struct pki_tp *tp);
void pki_tp_unref(struct pki_tp *tp); /* NULL is fine; keys are zeroed with the last reference */

/* Our own certificate; false / 0 when the trust point has none. Views live as long as the trust point. */
enum pki_key {
	PKI_KEY_NONE = 0,
	PKI_KEY_RSA,
	PKI_KEY_EC256,
	PKI_KEY_EC384,
	PKI_KEY_EC521,
	PKI_KEY_ED25519,
	PKI_KEY_ED448
};
enum pki_key pki_tp_key(const struct pki_tp *tp);
/* DER certificates to send: ours, then the chain without the root. Returns how many were written. */
unsigned pki_tp_chain(const struct pki_tp *tp, struct pki_blob out[PKI_CHAIN_MAX]);
struct pki_blob pki_tp_subject(const struct pki_tp *tp); /* DER of our DN, for ID_DER_ASN1_DN */
/* Is our certificate's chain rooted in a CA with this key id, or is an issuer in it so named? */
bool pki_tp_issued_by(const struct pki_tp *tp, const uint8_t keyid[PKI_KEYID_LEN]);
/* The same by the DER of the CA's name (IKEv1 CERTREQ). */
bool pki_tp_issued_by_name(const struct pki_tp *tp, struct pki_blob name);
/* Seconds until our certificate expires, negative = since; INT64_MAX when there is none. */
int64_t pki_tp_valid_s(const struct pki_tp *tp);
/* The DER of our certificate for encryption, and the same of it; len 0 and INT64_MAX when there is none of its own. */
struct pki_blob pki_tp_encryption_cert(const struct pki_tp *tp);
int64_t pki_tp_encryption_valid_s(const struct pki_tp *tp);

/* The CAs that we believe. */
unsigned pki_tp_n_ca(const struct pki_tp *tp);
const uint8_t *pki_tp_ca_keyid(const struct pki_tp *tp, unsigned i); /* PKI_KEYID_LEN bytes */
struct pki_blob pki_tp_ca_name(const struct pki_tp *tp, unsigned i); /* DER of its DN */

/* ---- the peer's certificate ---- */

/*
 * What a certificate says, as texts for rules on it; nothing of it is proven. Names are whole, "CN=a, O=b" in the order
 * of the certificate; where a name is not a distinguished one, what separates the parts of those has a backslash before
 * it.
 */
struct pki_fields {
	char *subject, *issuer, *serial; /* serial: hexadecimal */
	char *unstructured, *ou;	 /* unstructuredName and the first OU of the subject; NULL = none */
	char **alt;			 /* subjectAltNames, each twice: "DNS:gw.example.org" and "gw.example.org" */
	unsigned n_alt;
	int64_t valid_start, expires_on; /* seconds since 1970, UTC */
};
/* NULL = not a certificate. The caller frees. */
struct pki_fields *pki_fields_new(struct pki_blob cert);
void pki_fields_free(struct pki_fields *f); /* NULL is fine */

/* What the i-th CA certificate that we believe says; NULL = out of memory. The caller frees. */
struct pki_fields *pki_tp_ca_fields(const struct pki_tp *tp, unsigned i);

struct pki_peer;
/*
 * pool. Validate a chain as of now: cert[0] is the peer's own (DER), the others (n in all) may be issuers in any order,
 * unneeded ones are ignored. The first of the trust points that validates it decides: path, signatures, validity, CA
 * and key usage, revocation. 0 with *out to be freed, or -EBADMSG with *why = static text.
 */
int pki_peer_check(struct pki_tp *const *tp, unsigned n_tp, const struct pki_blob *cert, unsigned n,
	struct pki_peer **out, const char **why);
/* pool. The same for a certificate that is for encrypting keys to the peer, and need not be for signatures. */
int pki_peer_check_encryption(struct pki_tp *const *tp, unsigned n_tp, const struct pki_blob *cert, unsigned n,
	struct pki_peer **out, const char **why);
struct pki_peer *pki_peer_ref(struct pki_peer *peer);
void pki_peer_free(struct pki_peer *peer); /* gives up one reference; NULL is fine */
/*
 * Does the certificate carry this IKE identity (RFC 4945 3.1, 5.1.3.6)? Address, FQDN and RFC822 name as a
 * subjectAltName, a distinguished name as its subject; types are those of RFC 7296 3.5. A key id is never in it.
 */
bool pki_peer_has_id(const struct pki_peer *peer, uint8_t type, const void *data, size_t len);
uint8_t *pki_peer_der(const struct pki_peer *peer, size_t *len); /* the certificate, to be freed; NULL = no memory */
enum pki_key pki_peer_key(const struct pki_peer *peer);
const struct pki_fields *pki_peer_fields(const struct pki_peer *peer); /* lives as long as the peer */
/* Seconds from now until the certificate expires: no session should live longer. */
int64_t pki_peer_valid_s(const struct pki_peer *peer);

/* The first OU of a DER name, UTF-8, to be freed; NULL = none. */
char *pki_dn_ou(const void *der, size_t len);

/* A DER distinguished name for people, into out[PKI_NAME_MAX], cut with "..."; false when it is not one. */
bool pki_dn_text(const void *der, size_t len, char *out);
/* The DER of a distinguished name written as "CN=a, O=b" or "/CN=a/O=b"; 0 = bad text. Returns its length <= size. */
size_t pki_dn_parse(const char *text, uint8_t *out, size_t size);
/* Do two DER names mean the same (case and spaces do not count, RFC 5280 7.1)? */
bool pki_dn_eq(const void *a, size_t a_len, const void *b, size_t b_len);

/* ---- signatures ---- */

enum pki_scheme {
	PKI_RSA_PKCS1 = 1, /* with DigestInfo: IKEv2 method 1 and RFC 7427 */
	PKI_RSA_RAW,	   /* the data itself is padded and signed, no digest: IKEv1 (RFC 2409 5.1); hash is ignored */
	PKI_ECDSA_RAW,	   /* the same with ECDSA and r | s: IKEv1 (RFC 4754) */
	PKI_RSA_PSS,	   /* salt as long as the hash */
	PKI_ECDSA,	   /* DER */
	PKI_ECDSA_CONCAT,  /* r | s: IKEv2 methods 9 to 11 (RFC 4754) */
	PKI_EDDSA,	   /* PureEdDSA; hash is PKI_HASH_IDENTITY (RFC 8420) */
};
/* Numbers of IKEv2's hash algorithms (RFC 7427 7, RFC 8420). */
enum pki_hash {
	PKI_HASH_SHA1 = 1,
	PKI_HASH_SHA256 = 2,
	PKI_HASH_SHA384 = 3,
	PKI_HASH_SHA512 = 4,
	PKI_HASH_IDENTITY = 5
};

/* pool. Sign with the trust point's key; sig has PKI_SIG_MAX bytes. -EINVAL when key and scheme do not fit. */
int pki_sign(const struct pki_tp *tp, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len,
	uint8_t *sig, size_t *sig_len);
/* pool. 0, -EBADMSG, or -EINVAL when key and scheme do not fit. */
int pki_verify(const struct pki_peer *peer, enum pki_scheme scheme, enum pki_hash hash, const void *data, size_t len,
	const void *sig, size_t sig_len);

/* DER AlgorithmIdentifier of RFC 7427 (appendix A) for a scheme; len 0 = none. Static. */
struct pki_blob pki_sig_algid(enum pki_scheme scheme, enum pki_hash hash, enum pki_key key);
/* The same backwards, PSS parameters included: 0, or -ENOTSUP for what we do not take. */
int pki_sig_parse(const void *der, size_t len, enum pki_scheme *scheme, enum pki_hash *hash);

/* ---- RSA keys that need no certificate: encrypted nonces of IKEv1 (RFC 2409 5.2), keys entered by hand ---- */

/* A public key, or a pair; never changes; counted by references, which any thread may take and give up. */
struct pki_rsa;
/* A pair from a PEM file that nobody else may read. legacy: below 2048 bits, too. NULL with err (PKI_ERR_MAX bytes). */
struct pki_rsa *pki_rsa_load(const char *path, bool legacy, char *err);
/* A public key from a DER SubjectPublicKeyInfo (RFC 5280 4.1). NULL with *why = static text. */
/* pool, up to minutes. A new private key of bits into a PEM file that does not exist yet, mode 0600. 0, or -EIO with
 * err. */
int pki_rsa_generate(const char *path, unsigned bits, char *err);
struct pki_rsa *pki_rsa_public(const void *der, size_t len, bool legacy, const char **why);
/* The public key of a certificate that may be used to encrypt keys (RFC 5280 4.2.1.3); NULL = it may not. */
struct pki_rsa *pki_rsa_of_peer(const struct pki_peer *peer);
/* The key of our certificate, NULL when there is none or of another kind; not a reference of the caller's. */
struct pki_rsa *pki_tp_rsa(const struct pki_tp *tp);
/* The same of the key that decrypts: that of the certificate for encryption, where there is one. */
struct pki_rsa *pki_tp_decrypts(const struct pki_tp *tp);
struct pki_rsa *pki_rsa_ref(struct pki_rsa *r);
void pki_rsa_unref(struct pki_rsa *r); /* NULL is fine */

size_t pki_rsa_len(const struct pki_rsa *r);			   /* of the modulus and of every ciphertext, bytes */
struct pki_blob pki_rsa_spki(const struct pki_rsa *r);		   /* the public key as DER; lives as long as r */
bool pki_rsa_eq(const struct pki_rsa *a, const struct pki_rsa *b); /* the same public key? */

/* pool. PKI_RSA_RAW with such a key, as pki_sign() and pki_verify(). */
int pki_rsa_sign(const struct pki_rsa *r, const void *data, size_t len, uint8_t *sig, size_t *sig_len);
int pki_rsa_verify(const struct pki_rsa *r, const void *data, size_t len, const void *sig, size_t sig_len);
/* Tens of microseconds. PKCS #1 v1.5 (RFC 8017 7.2.1) into out[pki_rsa_len()]; -EINVAL when len is too long. */
int pki_rsa_encrypt(const struct pki_rsa *r, const void *data, size_t len, uint8_t *out);
/*
 * pool. The text of a ciphertext, min..max bytes, into out, which has room for max. There is no such thing as wrong
 * padding: what is not the ciphertext of such a text decrypts to one that looks random, always to the same, and in the
 * same time. -EINVAL when in_len is not the key's, -EIO when the ciphertext is not below the modulus: anybody sees
 * that.
 */
int pki_rsa_decrypt(const struct pki_rsa *r, const uint8_t *in, size_t in_len, size_t min, size_t max, uint8_t *out,
	size_t *out_len);

#endif
