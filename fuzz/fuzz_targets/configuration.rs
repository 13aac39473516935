//! The sidecar's configuration: any environment gives either what the process runs with or faults that name a way to
//! mend them, and neither shows a secret.

#![cfg_attr(fuzzing, no_main)]

remora_fuzz::target!(remora_fuzz::configuration::judge);
