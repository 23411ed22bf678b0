"""What people look at: tables for the terminal, pages and pictures, made from plain documents."""
