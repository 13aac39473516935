//! Reads settings one by one and collects every fault, so that a user sees all of them at once.

use remora_smol::Secret;

use super::fault::{Fault, Reject, holds_client_secret, masked_words, page_of};
use super::misspelled;
use super::settings::{Preset, Setting};
use super::source::Source;
use crate::pages::{CFG_06, Page};

/// Something that works but is probably unintended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The variable in question, as it may be shown.
    pub(crate) name: String,
    /// What is questionable, and what to do.
    pub(crate) text: String,
    /// The page that explains it.
    pub(crate) page: &'static Page,
}

/// A source that is being read.
///
/// Methods that return an option return None both for a setting without a value and for a refused one: the caller can
/// continue either way, because the faults decide in the end.
pub(crate) struct Reader<'s> {
    source: &'s dyn Source,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

impl<'s> Reader<'s> {
    /// A reader without faults or warnings.
    pub(crate) fn new(source: &'s dyn Source) -> Self {
        Self { source, faults: Vec::new(), warnings: Vec::new() }
    }

    /// The given value, trimmed, also of the byte order mark that the file behind a Secret may begin with. Empty counts
    /// as unset, because templates leave `""` for values they do not set.
    pub(crate) fn given(&self, setting: &Setting) -> Option<String> {
        self.var(setting.name).or_else(|| {
            let lower = setting.has_lower_case_twin().then(|| setting.name.to_ascii_lowercase())?;
            self.var(&lower)
        })
    }

    /// The given value of a setting for which any text will do, so that no parser refuses one that is not Unicode.
    pub(crate) fn text(&mut self, setting: &Setting) -> Option<String> {
        let text = self.given(setting)?;
        let lower = setting.name.to_ascii_lowercase();
        let name = if self.var(setting.name).is_some() { setting.name } else { &lower };
        if self.source.is_unicode(name) {
            return Some(text);
        }
        let reject = Reject::new("is not UTF-8", "encode the value as UTF-8");
        self.fault(setting.name, Some("***"), reject);
        None
    }

    /// The given secret. Quotes around it may belong to it, and are only warned of.
    pub(crate) fn secret(&mut self, setting: &Setting) -> Option<Secret> {
        let text = self.text(setting)?;
        if let Some(reject) = in_quotes(&text) {
            self.warn(setting, format!("{}; {} unless they belong to the secret", reject.wrong, reject.fix));
        }
        Some(Secret::new(text))
    }

    /// A variable by its name, whether or not it is one of Remora's settings, trimmed; empty counts as unset.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let value = self.source.var(name)?;
        let value = value.trim_start_matches('\u{feff}').trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The given value, otherwise the preset, parsed by `parse`.
    pub(crate) fn value<T>(&mut self, setting: &Setting, parse: impl FnOnce(&str) -> Result<T, Reject>) -> Option<T> {
        match self.given(setting) {
            Some(text) => self.parsed(setting, &text, parse),
            None => self.preset(setting, parse),
        }
    }

    /// The preset, parsed by `parse`.
    pub(crate) fn preset<T>(&mut self, setting: &Setting, parse: impl FnOnce(&str) -> Result<T, Reject>) -> Option<T> {
        match setting.preset {
            Preset::Value(text) => self.parsed(setting, text, parse),
            Preset::Unset(_) => None,
        }
    }

    /// `text`, parsed by `parse`; a refusal becomes a fault of `setting`.
    pub(crate) fn parsed<T>(
        &mut self,
        setting: &Setting,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Reject>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(reject) => {
                let plainer = in_quotes(text).or_else(|| client_secret(text));
                self.fault(setting.name, Some(text), plainer.unwrap_or(reject));
                None
            }
        }
    }

    /// Records that `setting` has no value although it needs one.
    pub(crate) fn missing(&mut self, setting: &Setting, fix: &str) {
        let wrong = format!("is not set{}", self.instead_of(setting));
        self.fault(setting.name, None, Reject::new(wrong, fix));
    }

    /// The misspelled names that are set in place of `setting`, in parentheses; empty if there are none.
    pub(crate) fn instead_of(&self, setting: &Setting) -> String {
        let all = misspelled::all(self.source);
        let names: Vec<_> =
            all.into_iter().filter(|(_, meant)| meant.name == setting.name).map(|(name, _)| name).collect();
        match names.as_slice() {
            [] => String::new(),
            [name] => format!(" ({name} is set)"),
            names => format!(" ({} are set)", names.join(", ")),
        }
    }

    /// Records a fault of `name`.
    pub(crate) fn fault(&mut self, name: &str, value: Option<&str>, reject: Reject) {
        self.faults.push(Fault::new(name, value, reject));
    }

    /// Records a warning about `setting`. Masks secrets in the text.
    pub(crate) fn warn(&mut self, setting: &Setting, text: impl Into<String>) {
        self.warn_on(page_of(setting.name), setting, text);
    }

    /// Like `warn`, but explained on a page other than the setting's own.
    pub(crate) fn warn_on(&mut self, page: &'static Page, setting: &Setting, text: impl Into<String>) {
        self.warnings.push(Warning { name: setting.name.to_owned(), text: masked_words(&text.into()), page });
    }

    /// Records a warning about each name that is set and probably misspelled.
    pub(crate) fn warn_of_misspelled(&mut self) {
        let ignored = |(name, meant): (String, &'static Setting)| {
            let text = format!("is not a setting and is ignored; did you mean {}?", meant.name);
            Warning { name, text, page: &CFG_06 }
        };
        self.warnings.extend(misspelled::all(self.source).into_iter().map(ignored));
    }

    /// All faults and warnings.
    pub(crate) fn finish(self) -> (Vec<Fault>, Vec<Warning>) {
        (self.faults, self.warnings)
    }
}

/// The fault of a value in quotes, which a shell would have removed but an env file or YAML keeps.
pub(crate) fn in_quotes(text: &str) -> Option<Reject> {
    const PAIRS: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
    let inside = |(open, close): (char, char)| text.strip_prefix(open)?.strip_suffix(close);
    let quoted = PAIRS.into_iter().any(|pair| inside(pair).is_some());
    quoted.then(|| Reject::new("has quotes around it, which count as part of the value", "take the quotes out"))
}

/// The fault of a client secret where something else is expected.
fn client_secret(text: &str) -> Option<Reject> {
    let fix = "put the secret in AZURE_CLIENT_SECRET, or in the file that AZURE_CLIENT_SECRET_FILE names";
    holds_client_secret(text).then(|| Reject::new("has the form of a client secret", fix))
}
