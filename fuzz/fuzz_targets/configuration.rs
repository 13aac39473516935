//! The sidecar's configuration: any environment results either in the effective settings or in faults that name a fix,
//! and neither shows a secret.

#![cfg_attr(fuzzing, no_main)]

remora_fuzz::target!(remora_fuzz::configuration::judge);
