//! Where ranges of frames start and end, eight bytes each, and what lies between.
//!
//! An image may map a hundred million pages: what is gathered of each of them is this.

/// Starts and ends of ranges, each range with a tag below 16.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// Frame, tag, and whether a range ends there: from the highest bit down.
    edges: Vec<u64>,
    /// The range pushed last: first frame, end, tag.
    last: Option<(u64, u64, u8)>,
}

impl Edges {
    /// Adds frames to the range before if they go on from it with the same tag. Mostly they do: a direct
    /// map is one range.
    pub(super) fn extend(&mut self, first: u64, count: u64, tag: u8) {
        match &mut self.last {
            Some((_, end, own)) if *end == first && *own == tag => *end = first + count,
            _ => {
                self.flush();
                self.last = Some((first, first + count, tag));
            }
        }
    }

    /// Adds a range of its own.
    pub(super) fn push(&mut self, first: u64, count: u64, tag: u8) {
        self.flush();
        self.last = Some((first, first + count, tag));
    }

    fn flush(&mut self) {
        if let Some((first, end, tag)) = self.last.take() {
            let tag = u64::from(tag & 15) << 1;
            self.edges.extend([first << 5 | tag, end << 5 | tag | 1]);
        }
    }

    /// Shows what lies between an edge and the next: first frame, end, and how many ranges of each tag
    /// are there.
    pub(super) fn between(mut self, mut visit: impl FnMut(u64, u64, &[u64; 16])) {
        self.flush();
        let mut edges = self.edges;
        edges.sort_unstable();
        let mut depth = [0u64; 16];
        let mut from = 0;
        for edge in edges {
            let at = edge >> 5;
            if at > from {
                visit(from, at, &depth);
                from = at;
            }
            let depth = &mut depth[usize::try_from(edge >> 1 & 15).unwrap_or(0)];
            *depth = if edge & 1 == 0 { *depth + 1 } else { *depth - 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_piece_by_piece() {
        let mut edges = Edges::default();
        edges.extend(10, 1, 3);
        edges.extend(11, 4, 3);
        edges.push(12, 1, 0);
        edges.push(13, 1, 0);
        edges.push(15, 2, 3);

        let mut told = Vec::new();
        edges.between(|from, end, depth| told.push((from, end, depth[0], depth[3])));

        let expected = [
            (0, 10, 0, 0),
            (10, 12, 0, 1),
            (12, 13, 1, 1),
            (13, 14, 1, 1),
            (14, 15, 0, 1),
            (15, 17, 0, 1),
        ];
        assert_eq!(told, expected);
    }
}
