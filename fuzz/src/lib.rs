//! Code shared by the fuzz targets: oracles, a driver for exchanges, and a way to run without libFuzzer.
//!
//! A target is one function that takes bytes and panics when something is wrong. Under cargo-fuzz libFuzzer calls it;
//! everywhere else the same binary judges the files it is given, and `cargo test` judges every file of
//! `corpus/<target>`. Nothing here looks inside the crate under test.

pub mod configuration;
pub mod corpus;
pub mod cuts;
pub mod exchange;
pub mod frame;
pub mod lifecycle;
pub mod plain;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// Makes the function `$judge(&[u8])` the target of this binary.
#[macro_export]
macro_rules! target {
    ($judge:path) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| $judge(input));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::corpus::judge_arguments($judge);
        }

        #[cfg(test)]
        #[test]
        fn corpus_is_judged_well() {
            $crate::corpus::replay(env!("CARGO_CRATE_NAME"), $judge);
        }
    };
}
