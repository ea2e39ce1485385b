//! Which known name was probably meant?

/// Characters of a name that are compared; longer ones are cut, so that any text costs little.
const COMPARED_MAX: usize = 64;

/// The known name nearest to `name` by edit distance (insertions, deletions, substitutions and
/// swaps of neighbours), when it is near enough to have been meant: at most a third of it differs,
/// or one character. Upper and lower case count as the same; of names equally near, the one with fewer letters
/// in another case is taken.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let chars = |name: &str| name.chars().take(COMPARED_MAX).collect::<Vec<char>>();
    let folded = |name: &[char]| name.iter().map(char::to_ascii_lowercase).collect::<Vec<char>>();
    let wanted = chars(name);
    let meant = folded(&wanted);
    let (least, _, best, length) = known
        .into_iter()
        .map(|candidate| {
            let chars = chars(candidate);
            let is_cased = distance(&wanted, &chars);
            (distance(&meant, &folded(&chars)), is_cased, candidate, chars.len())
        })
        .min()?;
    (least <= (wanted.len().max(length) / 3).max(1)).then_some(best)
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: [&str; 3] = ["transfer", "filter", "reflector"];

    #[test]
    fn a_slip_of_the_finger_leads_to_the_name_that_was_meant() {
        assert_eq!(nearest("trasnfer", KNOWN), Some("transfer"));
        assert_eq!(nearest("fliter", KNOWN), Some("filter"));
        assert_eq!(nearest("reflectr", KNOWN), Some("reflector"));
    }

    #[test]
    fn upper_case_is_a_slip_of_the_finger_too() {
        assert_eq!(nearest("TRANSFER", KNOWN), Some("transfer"));
        assert_eq!(nearest("Fliter", KNOWN), Some("filter"));
        assert_eq!(nearest("ReadFile", ["READFILE", "readFile", "ReadFil"]), Some("readFile"));
    }

    #[test]
    fn something_else_altogether_leads_nowhere() {
        assert_eq!(nearest("bananas", KNOWN), None);
        assert_eq!(nearest("x", []), None);
        // Only so much of a name is compared, and only so much counts for what is near.
        assert_eq!(nearest("id", [&*"\0".repeat(600)]), None);
    }
}
