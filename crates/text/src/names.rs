/// Gives an enum without fields its names: `ALL`, `name`, `Display`, `FromStr`.
macro_rules! names {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// All values, in the order of their definition.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            /// The name on the command line and in configuration.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::Error;

            fn from_str(name: &str) -> $crate::Result<Self> {
                let found = $type::ALL.iter().copied().find(|value| value.name() == name);
                found.ok_or_else(|| $crate::Error::Name {
                    what: $what,
                    name: name.to_owned(),
                    known: $type::ALL.iter().map(|value| value.name()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

pub(crate) use names;
