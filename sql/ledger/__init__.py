"""The ledger: the only truth about a run. No other module reads or writes its tables.

`jobs` is what workers and the dispatcher touch, `tables` is the state of tables and conversion sets,
`runs` the rest.
"""
