# SPDX-License-Identifier: BSD-3-Clause
"""Certificates for the two ends of a tunnel, and how each end is told of them."""


def _openssl(lab, *words):
    lab.command("openssl", *words)


class Pki:
    """A CA made by the openssl command line, with a certificate for each end and a CRL."""

    def __init__(self, lab):
        self.lab, self.dir = lab, lab.work / "pki"
        self.dir.mkdir()
        self.root("ca", "Lab Root")

    def root(self, name, common_name):
        self.key(name, "EC")
        lab = self.lab
        _openssl(lab, "req", "-x509", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/O=Lab/CN={common_name}", "-days", "2",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-out", self.path(f"{name}.pem"))

    def path(self, name):
        return self.dir / name

    def key(self, name, kind):
        words = {"RSA": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "EC": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                 "EC384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ED25519": ["ED25519"]}[kind]
        _openssl(self.lab, "genpkey", "-algorithm", *words, "-out", self.path(f"{name}.key"))
        self.path(f"{name}.key").chmod(0o600)

    def public(self, name):
        """The public half of a key in hexadecimal, as operators type it; name.pub is the same as PEM."""
        for kind, suffix in (("PEM", "pub"), ("DER", "der")):
            _openssl(self.lab, "pkey", "-in", self.path(f"{name}.key"), "-pubout", "-outform", kind, "-out",
                     self.path(f"{name}.{suffix}"))
        return self.path(f"{name}.der").read_bytes().hex()

    def issue(self, name, kind, san, serial, unit=None):
        self.key(name, kind)
        subject = f"/O=Lab/OU={unit}/CN={name}" if unit else f"/O=Lab/CN={name}"
        _openssl(self.lab, "req", "-new", "-key", self.path(f"{name}.key"), "-subj", subject,
                 "-out", self.path(f"{name}.csr"))
        self.path(f"{name}.ext").write_text(f"subjectAltName={san}\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n")
        _openssl(self.lab, "x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"), "-CAkey",
                 self.path("ca.key"), "-set_serial", str(serial), "-days", "2", "-extfile", self.path(f"{name}.ext"),
                 "-out", self.path(f"{name}.pem"))

    def crl(self, *serials):
        """Publish a CRL of the CA that names these serial numbers."""
        index = self.path("index.txt")
        index.write_text("".join(f"R\t400101000000Z\t260101000000Z\t{serial:02X}\tunknown\t/CN=x\n" for serial in serials))
        self.path("ca.cnf").write_text(f"[ca]\ndefault_ca=lab\n[lab]\ndatabase={index}\ndefault_md=sha256\n"
                                       "default_crl_days=1\n")
        _openssl(self.lab, "ca", "-gencrl", "-config", self.path("ca.cnf"), "-cert", self.path("ca.pem"), "-keyfile",
                 self.path("ca.key"), "-out", self.path("ca.crl"))


def with_certificates(vpn, pki, crl=False):
    config = vpn.config()
    config["culvert-pki:pki"] = {"trust-point": [{
        "name": "lab", "ca-certificate": [str(pki.path("ca.pem"))], "certificate": str(pki.path("gw1.pem")),
        "private-key": str(pki.path("gw1.key")),
        **({"crl": [str(pki.path("ca.crl"))], "revocation-check": "required"} if crl else {})}]}
    profile = config["culvert-ike:ike"]["profile"][0]
    profile["authentication"] = {"local": "signature", "remote": "signature"}
    profile["trust-point"] = ["lab"]
    profile["local-identity"] = {"type": "fqdn", "value": "gw1.lab"}
    profile["match-identity"] = [{"name": "peer", "type": "fqdn", "value": "peer.lab"}]
    del config["culvert-ike:ike"]["keyring"], profile["keyring"]
    return config


def swan_certificates(vpn, pki, **extra):
    for kind, source, target in (("x509ca", "ca.pem", "ca.pem"), ("x509", "peer.pem", "peer.pem"),
                                 ("private", "peer.key", "peer.key")):
        (vpn.peer.work / kind).mkdir(exist_ok=True)
        (vpn.peer.work / kind / target).write_bytes(pki.path(source).read_bytes())
    end = {"auth": "pubkey"}
    vpn.reload_peer(local_id="peer.lab", remote_id="gw1.lab",
                    extra={**extra, "local": {**end, "certs": "peer.pem"}, "remote": {**end, "cacerts": "ca.pem"}})
