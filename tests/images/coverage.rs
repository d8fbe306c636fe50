//! Every requirement has its story.

const STORIES: &[&str] = &[
    include_str!("administrator.rs"),
    include_str!("compose.rs"),
    include_str!("database.rs"),
    include_str!("deployment.rs"),
    include_str!("deregistration.rs"),
    include_str!("endpoint.rs"),
    include_str!("master_key.rs"),
    include_str!("process_one.rs"),
    include_str!("registration.rs"),
    include_str!("setting.rs"),
    include_str!("start.rs"),
    include_str!("upgrade.rs"),
    include_str!("volume.rs"),
];

#[test]
fn no_requirement_is_without_a_story() {
    let wanted = (1..=27).chain(32..=43).chain(45..=88).chain([92]);
    let text = STORIES.concat();
    let missing: Vec<String> = wanted
        .map(|number| format!("REQ-{number:03}"))
        .filter(|id| !text.contains(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
