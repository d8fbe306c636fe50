//! Tickets: the name of one attempt of one script on one machine (`architecture.md`, "Surviving a crash" 5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Derives the ticket of an attempt. The same attempt has the same ticket on every node and after every restart, so
/// that an agent which knows it never runs the script twice. The shape is that of the original: base64 with what
/// is neither letter nor digit removed.
#[must_use]
pub fn derive(task: &str, action: &str, target: &str, attempt: u32) -> String {
    let hash = Sha256::new()
        .chain_update(b"mantle ticket")
        .chain_update((task.len() as u64).to_le_bytes())
        .chain_update(task)
        .chain_update((action.len() as u64).to_le_bytes())
        .chain_update(action)
        .chain_update((target.len() as u64).to_le_bytes())
        .chain_update(target)
        .chain_update(attempt.to_le_bytes())
        .finalize();
    // Agents compare without case, so 24 bytes leave more than enough that cannot collide.
    let text = STANDARD_NO_PAD.encode(&hash[..24]);
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_attempt_has_one_ticket_of_its_own() {
        let mut tickets = HashSet::new();
        for task in ["ServerTasks-1", "ServerTasks-11"] {
            for action in ["a", "1a", ""] {
                for target in ["m", "", "1"] {
                    for attempt in 1..4 {
                        assert_eq!(
                            derive(task, action, target, attempt),
                            derive(task, action, target, attempt)
                        );
                        assert!(tickets.insert(derive(task, action, target, attempt).to_lowercase()));
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_ticket_is_a_plain_file_name(task in ".{0,20}", action in ".{0,20}", target in ".{0,20}", attempt: u32) {
            let ticket = derive(&task, &action, &target, attempt);
            prop_assert!((20..=32).contains(&ticket.len()), "{}", ticket);
            prop_assert!(ticket.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }
}
