//! The last assertions that the token endpoint was given, so that another library can judge them. Emulator only: nobody
//! else keeps them.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::jwt::Jwt;
use crate::settings::unix_millis;

/// How many are remembered.
const REMEMBERED: usize = 50;

/// A longer one is no assertion of a client's, and is not kept.
const LARGEST: usize = 64 << 10;

/// Starts empty with the process.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    last: VecDeque<Value>,
}

impl Assertions {
    /// Notes an assertion before anything of it is checked; `raw` as it came.
    pub(crate) fn remember(&mut self, raw: &str, assertion: &Jwt) {
        if raw.len() > LARGEST {
            return;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        let Jwt { header, claims, .. } = assertion;
        let time = unix_millis(SystemTime::now());
        self.last.push_back(json!({"time": time, "header": header, "claims": claims, "raw": raw}));
    }

    /// Oldest first: `{"time","header","claims","raw"}`, the time in milliseconds since 1970.
    pub(crate) fn document(&self) -> Value {
        json!(self.last)
    }
}
