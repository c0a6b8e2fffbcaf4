//! The coding matrix: rows of factors, one row per shard.
//!
//! `E = V · inverse(V_top)`, V the Vandermonde matrix `V[r][c] = r^c` of k + m rows and V_top its
//! first k. The top of E is the identity, so data shards are the data itself, and any k rows of E
//! are independent because any k rows of V are. This is the matrix of reed-solomon-erasure (and
//! of Backblaze's code before it): part of the format.

use crate::gf256::{inverse, multiply, power};

pub(crate) type Rows = Vec<Vec<u8>>;

/// The factors of all k + m shards in terms of the k data shards.
pub(crate) fn coding_rows(data: usize, parity: usize) -> Option<Rows> {
    let vandermonde: Rows = (0..data + parity)
        .map(|row| {
            let point = u8::try_from(row).unwrap_or(u8::MAX);
            (0..data).map(|column| power(point, column)).collect()
        })
        .collect();
    let top = invert(vandermonde.get(..data)?.to_vec())?;
    Some(product(&vandermonde, &top))
}

/// a · b.
pub(crate) fn product(a: &[Vec<u8>], b: &[Vec<u8>]) -> Rows {
    a.iter()
        .map(|row| {
            let mut sums = vec![0; b.first().map_or(0, Vec::len)];
            for (factor, other) in row.iter().zip(b) {
                add_multiple(&mut sums, *factor, other);
            }
            sums
        })
        .collect()
}

/// The inverse of a square matrix by Gauss-Jordan elimination; `None` where there is none.
pub(crate) fn invert(mut rows: Rows) -> Option<Rows> {
    let size = rows.len();
    for (index, row) in rows.iter_mut().enumerate() {
        row.extend((0..size).map(|column| u8::from(column == index)));
    }
    for column in 0..size {
        let pivot = (column..size).find(|row| entry(&rows, *row, column) != 0)?;
        rows.swap(column, pivot);
        let scale = inverse(entry(&rows, column, column))?;
        let mut chosen = std::mem::take(rows.get_mut(column)?);
        for value in &mut chosen {
            *value = multiply(*value, scale);
        }
        for row in &mut rows {
            let factor = row.get(column).copied().unwrap_or_default();
            add_multiple(row, factor, &chosen);
        }
        *rows.get_mut(column)? = chosen;
    }
    Some(
        rows.into_iter()
            .map(|mut row| row.split_off(size))
            .collect(),
    )
}

fn entry(rows: &[Vec<u8>], row: usize, column: usize) -> u8 {
    rows.get(row)
        .and_then(|row| row.get(column))
        .copied()
        .unwrap_or_default()
}

fn add_multiple(sums: &mut [u8], factor: u8, row: &[u8]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum ^= multiply(factor, *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_the_identity_and_copies_are_copies() {
        for (data, parity) in [(1, 0), (1, 4), (2, 1), (4, 2), (8, 4), (17, 15)] {
            let rows = coding_rows(data, parity).unwrap();
            assert_eq!(rows.len(), data + parity);
            for (index, row) in rows.iter().take(data).enumerate() {
                let unit: Vec<u8> = (0..data).map(|column| u8::from(column == index)).collect();
                assert_eq!(*row, unit);
            }
        }
        assert_eq!(coding_rows(1, 3).unwrap(), vec![vec![1]; 4]);
    }

    #[test]
    fn the_matrix_is_part_of_the_format() {
        let rows = coding_rows(4, 2).unwrap();
        assert_eq!(rows[4..], [[27, 28, 18, 20], [28, 27, 20, 18]]);
    }

    #[test]
    fn an_inverse_times_its_matrix_is_the_identity() {
        let rows = coding_rows(5, 3).unwrap();
        let chosen: Rows = [1, 3, 5, 6, 7].map(|row: usize| rows[row].clone()).to_vec();
        let identity = product(&chosen, &invert(chosen.clone()).unwrap());
        for (index, row) in identity.iter().enumerate() {
            assert!(
                row.iter()
                    .enumerate()
                    .all(|(c, v)| *v == u8::from(c == index))
            );
        }
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        assert_eq!(invert(vec![vec![1, 2], vec![1, 2]]), None);
        assert_eq!(invert(vec![vec![0]]), None);
    }
}
