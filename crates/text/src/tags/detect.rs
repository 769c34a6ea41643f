use super::spans::{parts, spans};
use super::{Scheme, violations};

/// What the tags of a column look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detection {
    /// Tags seen.
    pub tags: usize,
    /// Spans they hold.
    pub spans: usize,
    /// Tags that are neither `O` nor a known prefix with a label.
    pub others: usize,
    /// The first of these.
    pub first_other: Option<String>,
    /// Violations of each scheme, in the order of [`Scheme::ALL`].
    pub violations: [usize; 3],
}

impl Detection {
    /// Looks at the tags of one more sentence.
    pub fn add<T: AsRef<str>>(&mut self, tags: &[T]) {
        self.tags += tags.len();
        self.spans += spans(tags).len();
        for tag in tags.iter().map(AsRef::as_ref).filter(|tag| !is_tag(tag)) {
            self.others += 1;
            self.first_other.get_or_insert_with(|| tag.to_owned());
        }
        for (count, scheme) in self.violations.iter_mut().zip(Scheme::ALL) {
            *count += violations(tags, *scheme).len();
        }
    }

    /// Whether this is a column of spans: only `O` and prefixed labels, and at
    /// least one span.
    pub fn is_spans(&self) -> bool {
        self.spans > 0 && self.others == 0
    }

    /// A tag that does not fit in a column which is otherwise one of spans:
    /// more likely a mistake than a label.
    pub fn stray(&self) -> Option<&str> {
        let few = self.others * 20 < self.tags;
        self.first_other.as_deref().filter(|_| self.spans > 0 && few)
    }

    /// The scheme without a violation, if the column holds spans. There is at
    /// most one: they differ in the first or the last tag of every span.
    pub fn scheme(&self) -> Option<Scheme> {
        let fits = Scheme::ALL.iter().find(|scheme| self.violations_of(**scheme) == 0);
        fits.copied().filter(|_| self.is_spans())
    }

    /// The scheme with the fewest violations; IOB2 before the others.
    pub fn closest(&self) -> Scheme {
        let order = [Scheme::Iob2, Scheme::Bioes, Scheme::Iob1];
        order.into_iter().min_by_key(|scheme| self.violations_of(*scheme)).unwrap_or_default()
    }

    /// Tags that cannot follow the tag before in `scheme`.
    pub fn violations_of(&self, scheme: Scheme) -> usize {
        let at = Scheme::ALL.iter().position(|other| *other == scheme);
        at.map_or(0, |at| self.violations[at])
    }
}

/// Looks at the tags of many sentences.
pub fn detect<'a>(sentences: impl IntoIterator<Item = &'a [String]>) -> Detection {
    let mut seen = Detection::default();
    sentences.into_iter().for_each(|tags| seen.add(tags));
    seen
}

/// Whether this is `O`, or a known prefix with a label.
pub fn is_tag(tag: &str) -> bool {
    match parts(tag) {
        ('O', _) => matches!(tag, "O" | "_" | ""),
        ('B' | 'I' | 'E' | 'S', label) => !label.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sentences: &[&str]) -> Detection {
        let tags = |line: &&str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let sentences: Vec<_> = sentences.iter().map(tags).collect();
        detect(sentences.iter().map(Vec::as_slice))
    }

    #[test]
    fn one_scheme_fits() {
        assert_eq!(of(&["O O", "I-A I-A B-A"]).scheme(), Some(Scheme::Iob1));
        assert_eq!(of(&["O O", "B-A I-A B-A"]).scheme(), Some(Scheme::Iob2));
        assert_eq!(of(&["O O", "B-A E-A S-A"]).scheme(), Some(Scheme::Bioes));
    }

    #[test]
    fn mixed_schemes_are_counted() {
        let seen = of(&["O I-A", "B-A I-A O B-B", "B-A"]);
        assert_eq!((seen.is_spans(), seen.scheme(), seen.spans), (true, None, 4));
        assert_eq!(seen.violations_of(Scheme::Iob2), 1);
        assert_eq!((seen.violations_of(Scheme::Iob1), seen.closest()), (3, Scheme::Iob2));
    }

    #[test]
    fn words_and_emptiness_are_no_spans() {
        let seen = of(&["NOUN O B-A"]);
        assert_eq!(
            (seen.is_spans(), seen.others, seen.first_other.as_deref()),
            (false, 1, Some("NOUN"))
        );
        assert_eq!(seen.stray(), None);
        let slip = "O ".repeat(20) + "B-A A";
        assert_eq!(of(&[&slip]).stray(), Some("A"));
        assert!(!of(&["O O"]).is_spans());
        assert_eq!(of(&[]).scheme(), None);
    }
}
