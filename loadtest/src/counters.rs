//! Sums that are taken at two moments and told apart.

/// A structure of counters: what was added since an earlier one, and the sum of two.
macro_rules! counters {
    ($(#[$doc:meta])* $visibility:vis struct $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        $visibility struct $name {
            $($(#[$field_doc])* pub(crate) $field: u64,)*
        }

        impl $name {
            /// What was added since `earlier`.
            pub(crate) fn since(&self, earlier: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(earlier.$field),)* }
            }

            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            #[allow(dead_code, reason = "not every set of counters is summed up like this")]
            pub(crate) fn plus(mut self, other: &Self) -> Self {
                self.add(other);
                self
            }
        }
    };
}

pub(crate) use counters;

#[cfg(test)]
mod tests {
    counters! {
        struct Two {
            /// One.
            one,
            other,
        }
    }

    #[test]
    fn windows_are_differences_and_add_up() {
        let (before, after) = (Two { one: 1, other: 5 }, Two { one: 3, other: 5 });
        let mut window = after.since(&before);
        assert_eq!(window, Two { one: 2, other: 0 });
        window.add(&before);
        assert_eq!(window, after);
        assert_eq!(before.plus(&Two { one: 2, other: 0 }), after);
    }
}
