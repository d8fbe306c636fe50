//! Random identifiers.

/// A new GUID, for steps, actions, variables, phases and rules.
pub(crate) fn new_guid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Five random letters, which tell two copies of one version of a document apart.
pub(crate) fn snapshot_suffix() -> String {
    let random = uuid::Uuid::new_v4();
    random
        .as_bytes()
        .iter()
        .take(5)
        .map(|byte| char::from(b'A' + byte % 26))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_is_five_capital_letters() {
        let suffix = snapshot_suffix();
        assert!(
            suffix.len() == 5 && suffix.bytes().all(|byte| byte.is_ascii_uppercase()),
            "{suffix}"
        );
    }
}
