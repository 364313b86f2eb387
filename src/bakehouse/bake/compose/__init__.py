"""Compose files as Bake definitions (reference bake.md §20; deps.md §2): the level of Compose that buildx reads.

    definition = load_compose(files, ComposeOptions(cwd=…, environ=…))

One job a module: `reader` and `resolving` read YAML, `template`, `interpolation` and `dotenv` fill in variables,
`merging`, `unique`, `resets`, `extends` and `include` make one model of many documents (`model` says in which order),
`canonical` and `local_paths` give it one form, `schema`, `services` and `consistency` check it, `targets` and `xbake`
make targets of it, `positions` remembers where they were written. `loading` is the front. Only this package imports
PyYAML, and nothing imports this package before a Compose file is to be read.
"""

from bakehouse.bake.compose.loading import ComposeDefinition, ComposeLoader, ComposeOptions, load_compose

__all__ = ["ComposeDefinition", "ComposeLoader", "ComposeOptions", "load_compose"]
