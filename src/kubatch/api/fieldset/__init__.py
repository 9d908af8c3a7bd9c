"""Who owns which fields of an object: the arithmetic behind server-side apply. Pure.

`sets` are field paths in FieldsV1 form, `shapes` the types as ownership sees them, `values` what
paths a value has and what a change did, `merging` an intent over the live object, `managers` the
entries of metadata.managedFields, `ownership` the two ways to come to own something, and
`last_applied` the truce with client-side apply. No object and no store is known here.
"""
