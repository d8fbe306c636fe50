//! Pages of things: what a caller asks for and what it gets (`rest-api.md` 1.11, 1.12).

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// How many to pass over.
    pub skip: usize,
    /// How many to give at the most.
    pub take: usize,
}

impl Slice {
    /// Everything.
    pub const ALL: Self = Self {
        skip: 0,
        take: usize::MAX,
    };

    /// `skip` and `take` for a statement, at most 10,000 rows at a time.
    pub(crate) fn limits(self) -> (i64, i64) {
        let skip = i64::try_from(self.skip).unwrap_or(i64::MAX);
        (skip, i64::try_from(self.take.min(10_000)).unwrap_or(10_000))
    }
}

impl Default for Slice {
    fn default() -> Self {
        Self { skip: 0, take: 30 }
    }
}

/// The filters that every list of named things takes. An empty filter lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these ids, compared without case; unknown ones are dropped in silence. Empty: no filter.
    pub ids: Vec<String>,
    /// Exactly this name, compared without case.
    pub name: Option<String>,
    /// A part of the name, compared without case.
    pub partial_name: Option<String>,
}

impl Filter {
    /// Whether a thing of this id and name passes.
    #[must_use]
    pub fn admits(&self, id: &str, name: &str) -> bool {
        let named = |wanted: &Option<String>, test: fn(&str, &str) -> bool| match wanted {
            Some(text) if !text.is_empty() => test(&domain::name_key(name), &domain::name_key(text)),
            _ => true,
        };
        (self.ids.is_empty() || self.ids.iter().any(|wanted| wanted.eq_ignore_ascii_case(id)))
            && named(&self.name, |name, wanted| name == wanted)
            && named(&self.partial_name, |name, wanted| name.contains(wanted))
    }
}

/// A page of a list and the size of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T> {
    /// The page.
    pub items: Vec<T>,
    /// How many there are with the same filter.
    pub total: usize,
}

impl<T> List<T> {
    /// Cuts a page out of the whole filtered list.
    #[must_use]
    pub fn cut(all: Vec<T>, slice: Slice) -> Self {
        let total = all.len();
        Self {
            items: all.into_iter().skip(slice.skip).take(slice.take).collect(),
            total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_compares_names_without_case() {
        let filter = Filter {
            partial_name: Some("VELOP".into()),
            ..Filter::default()
        };
        assert!(filter.admits("Environments-1", "Development"));
        assert!(!filter.admits("Environments-2", "Production"));
    }

    #[test]
    fn a_page_knows_the_size_of_the_whole() {
        let page = List::cut((0..10).collect(), Slice { skip: 8, take: 5 });
        assert_eq!(
            page,
            List {
                items: vec![8, 9],
                total: 10
            }
        );
    }
}
