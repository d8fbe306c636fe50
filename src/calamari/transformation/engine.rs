//! Walks over a transform and does what it says.

use super::NAMESPACE;
use super::instruction::{Action, Instruction};
use super::locator::{Paths, instruction_attribute, paths, prefixes};
use super::report::{At, Report};
use crate::xml::name::{declared_prefix, split};
use crate::xml::outer_xml::declaration;
use crate::xml::xpath::{Dialect, Place, Prefixes, XPath};
use crate::xml::{Attribute, Document, NodeId};

/// Does all instructions; what went wrong stands in the report.
pub(super) fn run(target: Document, mut transform: Document, report: &mut Report) -> Document {
    if !declares_namespace(&transform) {
        report.verbose(format!(
            "The expected namespace {NAMESPACE} was not found in the transform file"
        ));
        return target;
    }
    if !take_out_commands(&mut transform, report) {
        return target;
    }
    let mut clean = transform.clone();
    for node in transform.descendants(transform.root()) {
        clean.drop_attributes(node, |attribute| is_instruction(&transform, node, attribute));
    }
    let Some(root) = transform.document_element() else {
        return target;
    };
    let mut engine = Engine {
        original: target.clone(),
        target,
        transform,
        clean,
        report,
        scopes: Vec::new(),
    };
    engine.element(root);
    engine.target
}

fn declares_namespace(transform: &Document) -> bool {
    transform.descendants(transform.root()).into_iter().any(|node| {
        transform.element(node).is_some_and(|tag| {
            tag.attributes()
                .iter()
                .any(|attribute| declared_prefix(&attribute.name).is_some() && attribute.value == NAMESPACE)
        })
    })
}

fn is_instruction(transform: &Document, node: NodeId, attribute: &Attribute) -> bool {
    transform.attribute_namespace(node, &attribute.name) == NAMESPACE
        || declared_prefix(&attribute.name).is_some() && attribute.value == NAMESPACE
}

/// Elements in the namespace of transforms are no part of what is inserted. `Import` would load a program.
fn take_out_commands(transform: &mut Document, report: &mut Report) -> bool {
    for node in transform.descendants(transform.root()) {
        if transform.element(node).is_none() || transform.namespace(node) != NAMESPACE {
            continue;
        }
        let name = transform.element(node).map_or("", |tag| tag.local()).to_owned();
        let at = At::Transform(transform.position(node));
        if name == "Import" {
            report.error(
                Some(at),
                "Import is not supported: transforms cannot load programs; use the transforms that are built in",
            );
            return false;
        }
        report.warning(
            at,
            &format!("Unknown tag '{name}' in the namespace of transforms"),
        );
        transform.detach(node);
    }
    true
}

/// What is known of an element of the transform that is being worked on.
struct Scope {
    element: NodeId,
    above: Option<usize>,
    paths: Option<Result<Paths, String>>,
    targets: Option<Vec<NodeId>>,
    parents: Option<Vec<NodeId>>,
}

struct Engine<'a> {
    target: Document,
    original: Document,
    transform: Document,
    /// The transform without instructions; nodes have the same ids.
    clean: Document,
    report: &'a mut Report,
    /// The element and those around it.
    scopes: Vec<Scope>,
}

/// An instruction that is being done.
struct Work<'a> {
    action: Action,
    instruction: &'a Instruction,
    element: NodeId,
    at: At,
}

impl Engine<'_> {
    fn element(&mut self, element: NodeId) {
        self.scopes.push(Scope {
            element,
            above: self.scopes.len().checked_sub(1),
            paths: None,
            targets: None,
            parents: None,
        });
        match self.instruct(element) {
            Ok(()) => {
                let children: Vec<NodeId> = self.transform.child_elements(element).collect();
                for child in children {
                    self.element(child);
                }
            }
            // What it says is not understood; then nothing below it is done either.
            Err((at, message)) => self.report.error(Some(at), &message),
        }
        self.scopes.pop();
    }

    /// Does the instruction of an element, if it has one.
    fn instruct(&mut self, element: NodeId) -> Result<(), (At, String)> {
        let Some(attribute) = instruction_attribute(&self.transform, element, "Transform") else {
            return Ok(());
        };
        let at = At::Transform(attribute.position);
        let instruction = Instruction::read(&attribute.value).map_err(|message| (at, message))?;
        let action = instruction.action().map_err(|message| (at, message))?;
        let hushed = ["SupressWarnings", "SuppressWarnings"]
            .into_iter()
            .find_map(|name| instruction_attribute(&self.transform, element, name))
            .map(
                |attribute| match attribute.value.trim().to_ascii_lowercase().as_str() {
                    "true" => Ok(true),
                    "false" => Ok(false),
                    _ => Err((
                        At::Transform(self.transform.position(element)),
                        format!("'{}' is neither true nor false", attribute.value),
                    )),
                },
            )
            .transpose()?;
        self.report.hushed = hushed.unwrap_or_default();
        let work = Work {
            action,
            instruction: &instruction,
            element,
            at,
        };
        if let Err(message) = self.execute(&work) {
            self.report.error(Some(at), &message);
            self.report.verbose(format!("Error during {}", instruction.name));
        }
        self.report.hushed = false;
        Ok(())
    }

    fn execute(&mut self, work: &Work<'_>) -> Result<(), String> {
        let scope = self.scopes.len() - 1;
        let inserts = matches!(
            work.action,
            Action::Insert | Action::InsertBefore | Action::InsertAfter | Action::InsertIfMissing
        );
        let targets = if inserts {
            self.parents(scope)?
        } else {
            self.targets(scope)?
        };
        if targets.is_empty() {
            return self.missing(scope, inserts, work);
        }
        let own = self.paths(scope)?.own;
        let name = &work.instruction.name;
        let (At::Transform(position) | At::Source(position)) = work.at;
        self.report
            .verbose(format!("Executing {name} (transform {position})"));
        self.report.verbose(format!("on {own}"));
        let all = matches!(
            work.action,
            Action::RemoveAll | Action::RemoveAttributes | Action::SetAttributes
        );
        let several = targets.len() > 1;
        for target in targets.into_iter().take(if all { usize::MAX } else { 1 }) {
            if self.target.element(target).is_none() {
                return Err(format!("'{own}' does not evaluate to an element"));
            }
            if several && matches!(work.action, Action::Replace | Action::Remove) {
                let message = format!(
                    "Found multiple target elements, but the '{name}' Transform only applies to the first match"
                );
                self.report.warning(work.at, &message);
            }
            self.act(work, target)?;
        }
        self.report.verbose(format!("Done executing {name}"));
        Ok(())
    }

    fn act(&mut self, work: &Work<'_>, target: NodeId) -> Result<(), String> {
        let takes_none = matches!(
            work.action,
            Action::Replace | Action::Remove | Action::RemoveAll | Action::Insert
        );
        if takes_none && !work.instruction.arguments.is_empty() {
            let message = format!("{} does not expect arguments; ignoring", work.instruction.name);
            self.report.warning(work.at, &message);
        }
        match work.action {
            Action::Replace => {
                let parent = self.target.parent(target).unwrap_or(self.target.root());
                let copy = self.copy(work.element, parent);
                self.target.replace(target, copy);
                self.done("Replaced", target);
            }
            Action::Insert => {
                let copy = self.copy(work.element, target);
                self.target.append_on_line(target, copy);
                self.done("Inserted", copy);
            }
            Action::InsertIfMissing => {
                let scope = self.scopes.len() - 1;
                if self.targets(scope)?.is_empty() {
                    let copy = self.copy(work.element, target);
                    self.target.append_on_line(target, copy);
                    self.done("Inserted", copy);
                }
            }
            Action::InsertBefore | Action::InsertAfter => {
                let sibling = self.sibling(work, target)?;
                let parent = self.target.parent(sibling).unwrap_or(self.target.root());
                if parent == self.target.root() {
                    return Err("An element cannot be inserted beside the root element".to_owned());
                }
                let copy = self.copy(work.element, parent);
                let behind = work.action == Action::InsertAfter;
                self.target.insert_beside(sibling, copy, behind);
                self.done("Inserted", copy);
            }
            Action::Remove | Action::RemoveAll => {
                self.target.remove_with_blanks(target);
                self.done("Removed", target);
            }
            Action::CommentOut => {
                let content = format!(" {} ", self.target.outer_xml(target));
                if content.contains("--") {
                    return Err(
                        "The element cannot be commented out, because two hyphens follow each other in it"
                            .to_owned(),
                    );
                }
                let comment = self.target.new_comment(content);
                self.target.replace(target, comment);
                self.done("Commented out", target);
            }
            Action::SetAttributes => self.set_attributes(work, target)?,
            Action::RemoveAttributes => self.remove_attributes(work, target)?,
        }
        Ok(())
    }

    fn done(&mut self, what: &str, element: NodeId) {
        let name = self.target.element(element).map_or("", |tag| tag.name.as_str());
        self.report.verbose(format!("{what} '{name}' element"));
    }

    /// No target: for what inserts an error, else a warning.
    fn missing(&mut self, scope: usize, inserts: bool, work: &Work<'_>) -> Result<(), String> {
        let mut failed = scope;
        while let Some(above) = self.scopes[failed].above {
            let found = if inserts {
                // What stands around the root element is always there.
                self.paths(above)?.parent.is_empty() || !self.parents(above)?.is_empty()
            } else {
                !self.targets(above)?.is_empty()
            };
            if found {
                break;
            }
            failed = above;
        }
        let paths = self.paths(failed)?;
        let existed = {
            let sought = if inserts { &paths.parent } else { &paths.own };
            !self.select(failed, sought, true)?.is_empty()
        };
        let message = if existed {
            format!(
                "'{}' did not find a match, because matching nodes in the source document were modified or removed by a \
                 previous transform",
                paths.own
            )
        } else {
            format!("No element in the source document matches '{}'", paths.own)
        };
        let at = At::Transform(self.transform.position(self.scopes[failed].element));
        if inserts {
            self.report.error(Some(at), &message);
        } else {
            self.report.warning(at, &message);
        }
        let (At::Transform(position) | At::Source(position)) = work.at;
        self.report.verbose(format!(
            "Not executing {} (transform {position})",
            work.instruction.name
        ));
        Ok(())
    }

    fn paths(&mut self, scope: usize) -> Result<Paths, String> {
        if let Some(known) = &self.scopes[scope].paths {
            return known.clone();
        }
        let found = match self.scopes[scope].above {
            None => Ok(String::new()),
            Some(above) => self.paths(above).map(|paths| paths.own),
        }
        .and_then(|above| paths(&self.transform, self.scopes[scope].element, &above));
        self.scopes[scope].paths = Some(found.clone());
        found
    }

    /// What the path of an element selects, when it was first asked for.
    fn targets(&mut self, scope: usize) -> Result<Vec<NodeId>, String> {
        if let Some(known) = &self.scopes[scope].targets {
            return Ok(known.clone());
        }
        let path = self.paths(scope)?.own;
        let found = self.select(scope, &path, false)?;
        self.scopes[scope].targets = Some(found.clone());
        Ok(found)
    }

    /// Where an element is inserted.
    fn parents(&mut self, scope: usize) -> Result<Vec<NodeId>, String> {
        if let Some(known) = &self.scopes[scope].parents {
            return Ok(known.clone());
        }
        let path = self.paths(scope)?.parent;
        if path.is_empty() {
            return Err("An element cannot be inserted beside the root element".to_owned());
        }
        let found = self.select(scope, &path, false)?;
        self.scopes[scope].parents = Some(found.clone());
        Ok(found)
    }

    fn select(&self, scope: usize, path: &str, in_original: bool) -> Result<Vec<NodeId>, String> {
        if path.is_empty() {
            return Ok(Vec::new());
        }
        let prefixes = prefixes(&self.transform, self.scopes[scope].element);
        let document = if in_original { &self.original } else { &self.target };
        XPath::parse(path, &prefixes, Dialect::One)
            .and_then(|path| path.select(document, document.root(), true))
            .map_err(|error| error.to_string())?
            .into_iter()
            .map(|place| match place {
                Place::Node(node) => Ok(node),
                Place::Attribute(..) => Err(format!("'{path}' selects attributes and not elements")),
            })
            .collect()
    }

    fn sibling(&self, work: &Work<'_>, parent: NodeId) -> Result<NodeId, String> {
        let name = &work.instruction.name;
        let path = match work.instruction.arguments.as_slice() {
            [] => return Err(format!("{name} requires an XPath argument")),
            [only] => only,
            _ => {
                return Err(format!(
                    "Too many arguments to {name}; commas divide them unless they are in round brackets"
                ));
            }
        };
        let prefixes = prefixes(&self.transform, work.element);
        let found = XPath::parse(path, &prefixes, Dialect::One)
            .and_then(|path| path.select(&self.target, parent, true))
            .map_err(|error| error.to_string())?;
        match found.first() {
            None => Err(format!("No element in the source document matches '{path}'")),
            Some(Place::Node(node)) if self.target.element(*node).is_some() => Ok(*node),
            Some(_) => Err(format!("'{path}' does not evaluate to an element")),
        }
    }

    /// A copy of an element of the transform, without instructions, that means the same below `parent`.
    fn copy(&mut self, element: NodeId, parent: NodeId) -> NodeId {
        let copy = self.target.import(&self.clean, element);
        for prefix in self.clean.outer_prefixes(element) {
            let meant = self
                .transform
                .parent(element)
                .and_then(|above| self.transform.namespace_of_prefix(above, &prefix))
                .unwrap_or_default();
            if self.target.namespace_of_prefix(parent, &prefix) != Some(meant) {
                self.target.add_attribute(copy, &declaration(&prefix), meant);
            }
        }
        copy
    }

    /// The indexes of the attributes that the arguments name; all of them without arguments.
    fn attributes(&mut self, work: &Work<'_>, of_target: Option<NodeId>) -> Result<Vec<usize>, String> {
        let arguments = &work.instruction.arguments;
        let every = ["*".to_owned()];
        let sought: &[String] = if arguments.is_empty() { &every } else { arguments };
        let mut found = Vec::new();
        for argument in sought {
            let (document, element) = match of_target {
                Some(target) => (&self.target, target),
                None => (&self.clean, work.element),
            };
            // Prefixes are not known here, as in the original.
            let places = XPath::parse(&format!("@{argument}"), &Prefixes::new(), Dialect::One)
                .and_then(|path| path.select(document, element, true))
                .map_err(|error| error.to_string())?;
            if places.is_empty() && !arguments.is_empty() {
                let message = format!("Argument '{argument}' did not match any attributes");
                self.report.warning(work.at, &message);
            }
            for place in places {
                match place {
                    Place::Attribute(owner, index) if owner == element => found.push(index),
                    _ => {
                        return Err(format!(
                            "Argument '{argument}' names no attributes of the element"
                        ));
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn set_attributes(&mut self, work: &Work<'_>, target: NodeId) -> Result<(), String> {
        let indexes = self.attributes(work, None)?;
        if indexes.is_empty() {
            self.report.warning(work.at, "No attributes found to set");
            return Ok(());
        }
        let count = indexes.len();
        for index in indexes {
            let Some(tag) = self.clean.element(work.element) else {
                break;
            };
            let (name, value) = (
                tag.attributes()[index].name.clone(),
                tag.attributes()[index].value.clone(),
            );
            self.set_attribute(work.element, target, &name, &value)?;
            self.report.verbose(format!("Set '{name}' attribute"));
        }
        self.report.verbose(format!("Set {count} attributes"));
        Ok(())
    }

    fn set_attribute(&mut self, from: NodeId, target: NodeId, name: &str, value: &str) -> Result<(), String> {
        let (prefix, local) = split(name);
        let namespace = self.transform.attribute_namespace(from, name).to_owned();
        let attributes = self
            .target
            .element(target)
            .map_or(&[][..], |tag| tag.attributes());
        let known = attributes.iter().position(|attribute| {
            declared_prefix(&attribute.name).is_none()
                && split(&attribute.name).1 == local
                && self.target.attribute_namespace(target, &attribute.name) == namespace
        });
        if let Some(index) = known {
            self.target.set_attribute(target, index, value);
            return Ok(());
        }
        if !prefix.is_empty() && self.target.namespace_of_prefix(target, prefix) != Some(&namespace) {
            let declaration = declaration(prefix);
            if attributes.iter().any(|attribute| attribute.name == declaration) {
                return Err(format!(
                    "The attribute '{name}' cannot be set: its prefix means something else on the element in the source"
                ));
            }
            self.target.add_attribute(target, &declaration, &namespace);
        }
        self.target.add_attribute(target, name, value);
        Ok(())
    }

    fn remove_attributes(&mut self, work: &Work<'_>, target: NodeId) -> Result<(), String> {
        let indexes = self.attributes(work, Some(target))?;
        if indexes.is_empty() {
            let at = At::Source(self.target.position(target));
            self.report.warning(at, "No attributes found to remove");
            return Ok(());
        }
        let count = indexes.len();
        for index in indexes.into_iter().rev() {
            let name = self
                .target
                .element(target)
                .map(|tag| tag.attributes()[index].name.clone());
            self.target.remove_attribute(target, index);
            self.report
                .verbose(format!("Removed '{}' attribute", name.unwrap_or_default()));
        }
        self.report.verbose(format!("Removed {count} attributes"));
        Ok(())
    }
}
