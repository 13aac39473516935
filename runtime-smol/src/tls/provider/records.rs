//! The ciphers that seal and open records: ring's, or with the feature `aws-lc` that library's, which has AVX-512 code
//! and is larger. Handshakes use ring in either case.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite as suite;

/// The cipher suites, the most preferred first.
pub(super) fn suites() -> Vec<SupportedCipherSuite> {
    let suites = [
        suite::TLS13_AES_256_GCM_SHA384,
        suite::TLS13_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    suites.map(sealed).to_vec()
}

#[cfg(not(feature = "aws-lc"))]
const fn sealed(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    suite
}

/// The suite with aws-lc's cipher in place of ring's. It is leaked, since the provider lives as long as the process.
#[cfg(feature = "aws-lc")]
fn sealed(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    use rustls::crypto::CipherSuiteCommon;
    use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
    use rustls::{Tls12CipherSuite, Tls13CipherSuite};

    let theirs = ALL_CIPHER_SUITES.iter().find(|theirs| theirs.suite() == suite.suite());
    let common = |ring: &CipherSuiteCommon, theirs: &CipherSuiteCommon| CipherSuiteCommon {
        suite: ring.suite,
        hash_provider: ring.hash_provider,
        confidentiality_limit: theirs.confidentiality_limit,
    };
    match (suite, theirs) {
        (SupportedCipherSuite::Tls13(ring), Some(SupportedCipherSuite::Tls13(theirs))) => {
            let common = common(&ring.common, &theirs.common);
            let suite = Tls13CipherSuite { common, aead_alg: theirs.aead_alg, quic: None, ..*ring };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
        (SupportedCipherSuite::Tls12(ring), Some(SupportedCipherSuite::Tls12(theirs))) => {
            let common = common(&ring.common, &theirs.common);
            let suite = Tls12CipherSuite { common, aead_alg: theirs.aead_alg, ..*ring };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
        (suite, _) => suite,
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use rustls::crypto::{aws_lc_rs, ring};

    use super::*;

    /// The address of a suite's cipher.
    fn cipher(suite: &SupportedCipherSuite) -> *const () {
        match suite {
            SupportedCipherSuite::Tls13(suite) => std::ptr::from_ref(suite.aead_alg).cast(),
            SupportedCipherSuite::Tls12(suite) => std::ptr::from_ref(suite.aead_alg).cast(),
        }
    }

    #[test]
    fn every_suite_has_the_other_cipher() {
        for suite in suites() {
            let of = |suites: &[SupportedCipherSuite]| {
                cipher(suites.iter().find(|each| each.suite() == suite.suite()).unwrap())
            };
            assert_ne!(of(ring::ALL_CIPHER_SUITES), of(aws_lc_rs::ALL_CIPHER_SUITES), "they can be told apart");
            assert_eq!(cipher(&suite), of(aws_lc_rs::ALL_CIPHER_SUITES), "{suite:?}");
        }
    }
}
