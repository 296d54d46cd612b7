# Installation: filled by the packaging rules.
