//! `AZURE_FEDERATED_TOKEN_FILE`: whether the token is readable now. Its content is never kept or shown.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::fault::Reject;
use super::readable::first_byte;

/// A projected token that can be opened. The kubelet mounts it before the container starts, so startup does not wait for
/// a file that is missing.
pub(crate) fn check(text: &str) -> Result<PathBuf, Reject> {
    let path = PathBuf::from(text);
    match first_byte(&path) {
        Ok(true) => Ok(path),
        Ok(false) => {
            Err(Reject::new("is an empty file", "check whether the projected volume is the webhook's own").of_file())
        }
        Err(error) => Err(Reject::new(format!("cannot be read: {error}"), fix(error.kind())).of_file()),
    }
}

fn fix(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => {
            "let the webhook set the variable; it mounts the token at /var/run/secrets/azure/wi/token/azure-identity-token\n\
             since v1.6.0 and at /var/run/secrets/azure/tokens/azure-identity-token before:\n\
             kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.volumes[*].projected.sources[*].serviceAccountToken}'"
        }
        ErrorKind::PermissionDenied => {
            "set fsGroup in the pod's securityContext, so that the user of this container may read projected volumes"
        }
        _ => "use the path of the file that holds the projected service-account token",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_token_file_names_both_places_it_may_be_mounted() {
        let reject = check("/nowhere/azure-identity-token").expect_err("no such file");
        assert!(reject.wrong.contains("No such file"), "{}", reject.wrong);
        assert!(reject.fix.contains("/azure/wi/token/") && reject.fix.contains("/azure/tokens/"));
    }

    #[test]
    fn only_a_file_with_something_in_it_is_a_token_file() {
        assert!(check(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).is_ok());
        assert!(check("/").expect_err("a folder").wrong.contains("not a regular file"));
        assert!(check("/dev/null").expect_err("a device").wrong.contains("not a regular file"));
    }
}
