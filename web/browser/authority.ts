// An authority for tests, a certificate of it for this machine, and browsers that know the authority: by their own
// store, as people's do. With certificate errors ignored neither browser starts a service worker.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Authority {
  /** Files in PEM form: the authority's certificate, and one with its key for 127.0.0.1. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const SCRIPT = `
import datetime, ipaddress, os, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
now = datetime.datetime.utcnow()
def make(name, issuer, signer, *extensions):
    key = ec.generate_private_key(ec.SECP256R1())
    b = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    b = b.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=30))
    for extension, critical in extensions:
        b = b.add_extension(extension, critical)
    return key, b.sign(signer or key, hashes.SHA256())
def write(name, raw):
    with open(os.open(os.path.join(sys.argv[1], name), os.O_WRONLY | os.O_CREAT, 0o600), 'wb') as f:
        f.write(raw)
def named(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
signer, ca = make(named('Holdfast browser tests'), named('Holdfast browser tests'), None, (x509.BasicConstraints(True, None), True))
host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))])
key, cert = make(named('test'), ca.subject, signer, (host, False))
write('ca.pem', ca.public_bytes(serialization.Encoding.PEM))
write('cert.pem', cert.public_bytes(serialization.Encoding.PEM))
write('key.pem', key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
`;

export function makeAuthority(dir: string): Authority {
  mkdirSync(dir, { recursive: true });
  execFileSync('/usr/bin/python3', ['-W', 'ignore', '-c', SCRIPT, dir]);
  return { ca: join(dir, 'ca.pem'), cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
}

/** Puts the authority into an NSS store, which both browsers read. */
export function trust(store: string, ca: string): void {
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-N', '-d', `sql:${store}`, '--empty-password']);
  execFileSync('certutil', ['-A', '-d', `sql:${store}`, '-n', 'holdfast-tests', '-t', 'C,,', '-i', ca]);
}
