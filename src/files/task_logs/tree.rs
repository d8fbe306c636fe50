//! The log as a tree of blocks (`rest-api.md` 3.3, `deployments.md` 8.8).

use std::collections::{HashMap, VecDeque};

use super::event::{Category, Event, Kind, Position, Status};

/// Which lines a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Whether Trace and Verbose are in it.
    pub verbose: bool,
    /// At most this many lines of each block, the last ones.
    pub tail: usize,
}

impl Default for View {
    fn default() -> Self {
        Self {
            verbose: true,
            tail: 50_000,
        }
    }
}

/// A block with what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The id that artifacts and interruptions refer to.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it began, in milliseconds since 1970 UTC.
    pub started: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// How it stands.
    pub status: Status,
    /// 0 to 100.
    pub progress_percentage: u8,
    /// What is being done.
    pub progress_message: String,
    /// The blocks in it, in the order of their appearance.
    pub children: Vec<Node>,
    /// Its own lines.
    pub elements: Vec<Element>,
}

/// A line in a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its place in the log.
    pub position: Position,
    /// What it is to its reader.
    pub category: Category,
    /// When, in milliseconds since 1970 UTC.
    pub time: i64,
    /// The text.
    pub text: String,
    /// More about it.
    pub detail: Option<String>,
}

/// Begins a tree.
#[must_use]
pub fn tree(view: View) -> Builder {
    Builder {
        view,
        blocks: Vec::new(),
        places: HashMap::new(),
    }
}

/// Takes events in order and makes the tree.
pub struct Builder {
    view: View,
    blocks: Vec<Block>,
    places: HashMap<String, usize>,
}

struct Block {
    node: Node,
    parent: Option<usize>,
    lines: VecDeque<Element>,
    left_out: usize,
}

impl Builder {
    /// Adds the next event.
    pub fn add(&mut self, event: Event) {
        let Event {
            position,
            time,
            block,
            kind,
        } = event;
        match kind {
            Kind::Open { name, parent, status } => {
                let parent = parent.and_then(|parent| self.places.get(&parent).copied());
                let place = self.place(block, parent);
                let block = &mut self.blocks[place];
                block.node.name = name;
                block.node.status = status;
                if status == Status::Running {
                    block.node.started.get_or_insert(time);
                }
            }
            Kind::Close { status } => {
                let place = self.place(block, None);
                let node = &mut self.blocks[place].node;
                node.status = status;
                node.ended = Some(time);
                if status == Status::Success {
                    node.progress_percentage = 100;
                }
            }
            Kind::Progress { percentage, text } => {
                let place = self.place(block, None);
                let node = &mut self.blocks[place].node;
                node.progress_percentage = percentage;
                node.progress_message = text;
            }
            Kind::Line {
                category,
                text,
                detail,
                ..
            } => {
                if category.is_detail() && !self.view.verbose {
                    return;
                }
                let place = self.place(block, None);
                let tail = self.view.tail;
                let block = &mut self.blocks[place];
                block.lines.push_back(Element {
                    position,
                    category,
                    time,
                    text,
                    detail,
                });
                if block.lines.len() > tail {
                    block.lines.pop_front();
                    block.left_out += 1;
                }
            }
        }
    }

    /// The blocks that have no other around them: normally one, the task.
    #[must_use]
    pub fn finish(self) -> Vec<Node> {
        let mut roots = VecDeque::new();
        let mut nodes: Vec<Option<Node>> = Vec::new();
        let mut parents = Vec::new();
        for block in self.blocks {
            parents.push(block.parent);
            nodes.push(Some(block.finish()));
        }
        // A parent always stands before its children, so going backwards each block is whole when it is moved.
        for place in (0..nodes.len()).rev() {
            let node = nodes[place].take().expect("each block is taken once");
            match parents[place].and_then(|parent| nodes[parent].as_mut()) {
                Some(parent) => parent.children.insert(0, node),
                None => roots.push_front(node),
            }
        }
        roots.into()
    }

    fn place(&mut self, block: String, parent: Option<usize>) -> usize {
        if let Some(&place) = self.places.get(&block) {
            return place;
        }
        let place = self.blocks.len();
        let node = Node {
            id: block.clone(),
            name: String::new(),
            started: None,
            ended: None,
            status: Status::Pending,
            progress_percentage: 0,
            progress_message: String::new(),
            children: Vec::new(),
            elements: Vec::new(),
        };
        self.blocks.push(Block {
            node,
            parent,
            lines: VecDeque::new(),
            left_out: 0,
        });
        self.places.insert(block, place);
        place
    }
}

impl Block {
    fn finish(mut self) -> Node {
        if let (true, Some(first)) = (self.left_out > 0, self.lines.front().cloned()) {
            let text = format!("{} earlier lines are left out.", self.left_out);
            self.lines.push_front(Element {
                category: Category::Gap,
                text,
                detail: None,
                ..first
            });
        }
        self.node.elements = self.lines.into();
        self.node
    }
}
