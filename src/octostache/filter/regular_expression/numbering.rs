//! Numbers of capturing groups: those without a name first, from left to right, then those with one.

use super::Groups;
use super::translation::{Head, Translator};

/// The groups of a pattern.
#[derive(Default)]
pub(super) struct Numbering {
    pub groups: Groups,
    /// The names of the capturing groups in the order of their parentheses.
    opened: Vec<Option<String>>,
}

/// Finds the capturing groups before anything is translated: references may stand before their group.
pub(super) fn number_groups(pattern: &str) -> Result<Numbering, String> {
    let mut numbering = Numbering::default();
    let none = Numbering::default();
    let mut translator = Translator::new(pattern, &none);
    let mut stack = Vec::new();
    while let Some(character) = translator.next() {
        match character {
            '\\' => {
                translator.next();
            }
            '[' => translator.skip_set()?,
            '#' if translator.options.extended => translator.skip_comment(),
            '(' => {
                let before = translator.options;
                match translator.group_head()? {
                    Head::Comment => {}
                    Head::Options(options) => translator.options = options,
                    Head::Capture(name) => {
                        numbering.opened.push(name);
                        stack.push(before);
                    }
                    Head::Plain(_, options) => {
                        translator.options = options;
                        stack.push(before);
                    }
                    Head::Condition => {
                        // The parentheses of the condition itself capture nothing.
                        stack.push(before);
                        if !translator.looks_around() {
                            translator.next();
                            stack.push(before);
                        }
                    }
                }
            }
            ')' => {
                if let Some(options) = stack.pop() {
                    translator.options = options;
                }
            }
            _ => {}
        }
    }
    numbering.assign()?;
    Ok(numbering)
}

impl Numbering {
    fn assign(&mut self) -> Result<(), String> {
        let mut next = 1;
        let written: Vec<usize> = self
            .opened
            .iter()
            .flatten()
            .filter_map(|name| name.parse().ok())
            .collect();
        self.groups.numbered.push((0, 0));
        for (position, name) in self.opened.iter().enumerate() {
            if name.is_none() {
                while written.contains(&next) {
                    next += 1;
                }
                self.groups.numbered.push((next, position + 1));
                next += 1;
            }
        }
        for (position, name) in self.opened.iter().enumerate() {
            let Some(name) = name else { continue };
            match name.parse::<usize>() {
                Ok(number) => self.groups.numbered.push((number, position + 1)),
                Err(_) if self.groups.named.iter().any(|(known, _)| known == name) => {
                    return Err(format!("two groups are named '{name}'"));
                }
                Err(_) => {
                    while written.contains(&next) || self.groups.of_number(next).is_some() {
                        next += 1;
                    }
                    self.groups.numbered.push((next, position + 1));
                    self.groups.named.push((name.clone(), position + 1));
                }
            }
        }
        Ok(())
    }
}
