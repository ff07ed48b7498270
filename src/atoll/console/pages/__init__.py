"""The pages of the console, a module each. Importing a module registers its pages."""
