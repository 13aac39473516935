//! Password-based encryption in key stores: PBES2 (RFC 8018 §6.2) of today's tools, and the older PKCS#12 schemes (RFC
//! 7292 appendix C), which Windows still writes. Decryption only; hashes are ring's, ciphers those of `RustCrypto`.

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit as _, KeyInit};
use der::asn1::ObjectIdentifier;
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::der::{Any, Malformed, at, is, number, octets, oid, sequence};

const PBES2: ObjectIdentifier = oid("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = oid("1.2.840.113549.1.5.12");
const SHA_3DES: ObjectIdentifier = oid("1.2.840.113549.1.12.1.3");
const SHA_3DES_2KEY: ObjectIdentifier = oid("1.2.840.113549.1.12.1.4");
const SHA_RC2_128: ObjectIdentifier = oid("1.2.840.113549.1.12.1.5");
const SHA_RC2_40: ObjectIdentifier = oid("1.2.840.113549.1.12.1.6");
const AES_128: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.2");
const AES_192: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.22");
const AES_256: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.42");
const DES_EDE3: ObjectIdentifier = oid("1.2.840.113549.3.7");

/// Most hashing rounds that a file may ask for: a few seconds. OpenSSL uses 2,048, Windows 2,000 to 600,000.
const MAX_ROUNDS: u32 = 10_000_000;

/// Why nothing was decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PbeError {
    Malformed,
    /// The scheme is not supported.
    Scheme,
    /// The password is wrong, as far as this can be told.
    Password,
}

impl From<Malformed> for PbeError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The password of a file.
#[derive(Clone, Copy)]
pub(super) enum Password<'p> {
    /// A text, which may be empty.
    Text(&'p str),
    /// None at all, which PKCS#12 distinguishes from an empty text: not even a terminating zero is hashed.
    Null,
}

impl<'p> Password<'p> {
    /// As PKCS#5 uses it.
    const fn bytes(self) -> &'p [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Null => &[],
        }
    }

    /// As PKCS#12 hashes it: big-endian UTF-16 and a terminating zero (RFC 7292 appendix B.1).
    pub(super) fn bmp(self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Text(text) => text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect(),
            Self::Null => Vec::new(),
        })
    }
}

/// Decrypts `data` with the given algorithm.
pub(super) fn decrypt(algorithm: Any<'_>, password: Password<'_>, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let fields = sequence(algorithm)?;
    let (name, parameters) = (at(&fields, 0)?, sequence(at(&fields, 1)?)?);
    if is(name, PBES2) {
        return pbes2(&parameters, password, data);
    }
    let salt = octets(at(&parameters, 0)?)?;
    let rounds = rounds(at(&parameters, 1)?)?;
    let derive = |id, length| derive(Hash::SHA1, id, &password.bmp(), salt, rounds, length);
    let iv = derive(IV, 8);
    if is(name, SHA_3DES) {
        cbc::<TdesEde3>(KeyInit::new_from_slice(&derive(KEY, 24)), &iv, data)
    } else if is(name, SHA_3DES_2KEY) {
        cbc::<TdesEde2>(KeyInit::new_from_slice(&derive(KEY, 16)), &iv, data)
    } else if is(name, SHA_RC2_128) {
        cbc(Ok(Rc2::new_with_eff_key_len(&derive(KEY, 16), 128)), &iv, data)
    } else if is(name, SHA_RC2_40) {
        cbc(Ok(Rc2::new_with_eff_key_len(&derive(KEY, 5), 40)), &iv, data)
    } else {
        Err(PbeError::Scheme)
    }
}

fn pbes2(parameters: &[Any<'_>], password: Password<'_>, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let cipher = sequence(at(parameters, 1)?)?;
    let (name, iv) = (at(&cipher, 0)?, octets(at(&cipher, 1)?)?);
    let key = |length| pbkdf2(at(parameters, 0)?, password, length);
    if is(name, AES_256) {
        cbc::<Aes256>(KeyInit::new_from_slice(&key(32)?), iv, data)
    } else if is(name, AES_128) {
        cbc::<Aes128>(KeyInit::new_from_slice(&key(16)?), iv, data)
    } else if is(name, AES_192) {
        cbc::<Aes192>(KeyInit::new_from_slice(&key(24)?), iv, data)
    } else if is(name, DES_EDE3) {
        cbc::<TdesEde3>(KeyInit::new_from_slice(&key(24)?), iv, data)
    } else {
        Err(PbeError::Scheme)
    }
}

/// A key of `length` bytes from the password (RFC 8018 §5.2); `derivation` holds the hash, salt and rounds.
pub(super) fn pbkdf2(
    derivation: Any<'_>,
    password: Password<'_>,
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let fields = sequence(derivation)?;
    if !is(at(&fields, 0)?, PBKDF2) {
        return Err(PbeError::Scheme);
    }
    let parameters = sequence(at(&fields, 1)?)?;
    let salt = octets(at(&parameters, 0)?)?;
    let rounds = rounds(at(&parameters, 1)?)?;
    // After an optional key length; the default is HMAC with SHA-1.
    let function = parameters.iter().skip(2).find_map(|&any| sequence(any).ok());
    let hash = function.map_or(Ok(Hash::SHA1), |function| Hash::of_hmac(at(&function, 0)?))?;
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(hash.pbkdf2, rounds, salt, password.bytes(), &mut key);
    Ok(key)
}

/// The number of rounds that a file asks for.
pub(super) fn rounds(any: Any<'_>) -> Result<NonZeroU32, PbeError> {
    let rounds = NonZeroU32::new(number(any)?).ok_or(PbeError::Malformed)?;
    if rounds.get() > MAX_ROUNDS { Err(PbeError::Scheme) } else { Ok(rounds) }
}

fn cbc<C: BlockCipherDecrypt>(
    cipher: Result<C, cbc::cipher::InvalidLength>,
    iv: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let cipher = cipher.map_err(|_| PbeError::Malformed)?;
    let decryptor = cbc::Decryptor::inner_iv_slice_init(cipher, iv).map_err(|_| PbeError::Malformed)?;
    // A wrong password shows as wrong padding.
    let plain = decryptor.decrypt_padded_vec::<Pkcs7>(data).map_err(|_| PbeError::Password)?;
    Ok(Zeroizing::new(plain))
}

/// A hash in each of the forms that are needed.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    digest: &'static digest::Algorithm,
    pub(super) hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

impl Hash {
    const SHA1: Self = Self {
        digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        hmac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        pbkdf2: pbkdf2::PBKDF2_HMAC_SHA1,
    };
    const SHA256: Self = Self { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 };
    const SHA384: Self = Self { digest: &digest::SHA384, hmac: hmac::HMAC_SHA384, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA384 };
    const SHA512: Self = Self { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 };

    /// The hash with this identifier.
    pub(super) fn of(name: Any<'_>) -> Result<Self, PbeError> {
        let known = [
            (oid("1.3.14.3.2.26"), Self::SHA1),
            (oid("2.16.840.1.101.3.4.2.1"), Self::SHA256),
            (oid("2.16.840.1.101.3.4.2.2"), Self::SHA384),
            (oid("2.16.840.1.101.3.4.2.3"), Self::SHA512),
        ];
        Self::among(name, known)
    }

    /// The hash of the HMAC with this identifier.
    pub(super) fn of_hmac(name: Any<'_>) -> Result<Self, PbeError> {
        let known = [
            (oid("1.2.840.113549.2.7"), Self::SHA1),
            (oid("1.2.840.113549.2.9"), Self::SHA256),
            (oid("1.2.840.113549.2.10"), Self::SHA384),
            (oid("1.2.840.113549.2.11"), Self::SHA512),
        ];
        Self::among(name, known)
    }

    fn among(name: Any<'_>, known: [(ObjectIdentifier, Self); 4]) -> Result<Self, PbeError> {
        known.into_iter().find(|(oid, _)| is(name, *oid)).map(|(_, hash)| hash).ok_or(PbeError::Scheme)
    }
}

/// Purposes of derived bytes (RFC 7292 appendix B.3).
const KEY: u8 = 1;
const IV: u8 = 2;
pub(super) const MAC: u8 = 3;

/// The key derivation of PKCS#12 (RFC 7292 appendix B.2). `password` comes from [`Password::bmp`].
pub(super) fn derive(
    hash: Hash,
    id: u8,
    password: &[u8],
    salt: &[u8],
    rounds: NonZeroU32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.digest.block_len();
    let fill = |from: &[u8]| from.iter().copied().cycle().take(from.len().div_ceil(block) * block).collect::<Vec<_>>();
    let mut input = Zeroizing::new([fill(salt), fill(password)].concat());
    let mut derived = Zeroizing::new(Vec::with_capacity(length + block));
    while derived.len() < length {
        let mut context = digest::Context::new(hash.digest);
        context.update(&vec![id; block]);
        context.update(&input);
        let mut out = context.finish();
        for _ in 1..rounds.get() {
            out = digest::digest(hash.digest, out.as_ref());
        }
        derived.extend_from_slice(out.as_ref());
        let addend: Vec<u8> = out.as_ref().iter().copied().cycle().take(block).collect();
        input.chunks_mut(block).for_each(|chunk| add_one_more(chunk, &addend));
    }
    derived.truncate(length);
    derived
}

/// `number += addend + 1`, both big-endian; overflow is dropped.
fn add_one_more(number: &mut [u8], addend: &[u8]) {
    let mut carry = 1_u16;
    for (digit, &more) in number.iter_mut().rev().zip(addend.iter().rev()) {
        carry += u16::from(*digit) + u16::from(more);
        let [high, low] = carry.to_be_bytes();
        *digit = low;
        carry = u16::from(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Vectors that circulate with PKCS#12 implementations: passwords "smeg" and "queeg", SHA-1.
    #[test]
    fn derivation_is_that_of_pkcs12() {
        let derived = |password, salt: &[u8], id, rounds, length| {
            let rounds = NonZeroU32::new(rounds).unwrap();
            let bytes = derive(Hash::SHA1, id, &Password::Text(password).bmp(), salt, rounds, length);
            bytes.to_vec()
        };
        let salt = [0x0A, 0x58, 0xCF, 0x64, 0x53, 0x0D, 0x82, 0x3F];
        assert_eq!(derived("smeg", &salt, KEY, 1, 24), hex("8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3"));
        assert_eq!(derived("smeg", &salt, IV, 1, 8), hex("79993DFE048D3B76"));
        let salt = [0x05, 0xDE, 0xC9, 0x59, 0xAC, 0xFF, 0x72, 0xF7];
        assert_eq!(derived("queeg", &salt, KEY, 1000, 24), hex("ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4"));
    }

    #[test]
    fn addition_carries() {
        let mut number = [0x01, 0xFF, 0xFF];
        add_one_more(&mut number, &[0x00, 0x00, 0x00]);
        assert_eq!(number, [0x02, 0x00, 0x00]);
        add_one_more(&mut number, &[0xFF, 0xFF, 0xFF]);
        assert_eq!(number, [0x02, 0x00, 0x00]);
    }
}
