//! SQLite behind the usher-store traits, on sqlx with embedded migrations.
