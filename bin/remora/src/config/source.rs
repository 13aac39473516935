//! The source of values. Tests pass a map; the process layers its flags over its environment.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Values by the name of their variable.
pub(crate) trait Source {
    /// The value as given, or None if the variable does not exist.
    fn var(&self, name: &str) -> Option<String>;

    /// Whether the value is Unicode, as it is where there is none.
    fn is_unicode(&self, _name: &str) -> bool {
        true
    }

    /// The names of the variables that exist.
    fn names(&self) -> Vec<String>;
}

/// The environment of the process. A value that is not Unicode is read with replacement characters, so that it is
/// refused as a bad value rather than treated as unset; the reader asks for it where any text would do.
#[derive(Debug)]
pub(crate) struct Environment;

impl Source for Environment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn is_unicode(&self, name: &str) -> bool {
        std::env::var_os(name).is_none_or(|value| value.to_str().is_some())
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }
}

impl<K: Borrow<str> + Ord> Source for BTreeMap<K, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().map(|name| name.borrow().to_owned()).collect()
    }
}

/// One source layered over another; an empty value in the upper one exposes the lower one.
#[derive(Debug)]
pub(crate) struct Over<A, B>(pub(crate) A, pub(crate) B);

impl<A: Source, B> Over<A, B> {
    /// The upper value, unless it is empty.
    fn upper(&self, name: &str) -> Option<String> {
        self.0.var(name).filter(|value| !value.trim().is_empty())
    }
}

impl<A: Source, B: Source> Source for Over<A, B> {
    fn var(&self, name: &str) -> Option<String> {
        self.upper(name).or_else(|| self.1.var(name))
    }

    fn is_unicode(&self, name: &str) -> bool {
        if self.upper(name).is_some() { self.0.is_unicode(name) } else { self.1.is_unicode(name) }
    }

    fn names(&self) -> Vec<String> {
        [self.0.names(), self.1.names()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_unless_it_is_empty() {
        let flags = BTreeMap::from([("CLUSTER", "flag".to_owned()), ("CLOUD", String::new())]);
        let environment = BTreeMap::from([("CLUSTER", "env".to_owned()), ("CLOUD", "env".to_owned())]);
        let source = Over(flags, environment);
        assert_eq!(source.var("CLUSTER").as_deref(), Some("flag"));
        assert_eq!(source.var("CLOUD").as_deref(), Some("env"));
        assert_eq!(source.var("CHECK"), None);
    }
}
