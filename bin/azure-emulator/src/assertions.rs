//! The latest assertions received by the token endpoint, so that another library can verify them. Only the emulator
//! keeps assertions.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::jwt::Jwt;
use crate::settings::unix_millis;

/// Number of assertions that are kept.
const REMEMBERED: usize = 50;

/// A longer text is not a client's assertion, and is not kept.
const LARGEST: usize = 64 << 10;

/// Empty when the process starts.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    last: VecDeque<Value>,
}

impl Assertions {
    /// Records an assertion before any part of it is checked; `raw` is the text as received.
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
