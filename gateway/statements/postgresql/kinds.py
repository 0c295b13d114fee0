"""Which class each kind of PostgreSQL's statements belongs to: a table, by the names that the grammar gives them."""

from __future__ import annotations

from access.gateway_rules import StatementClass as Class

#: Statements whose name alone tells their class. Those that need a look are handled in `reading`.
CLASSES: dict[str, Class] = {
    **dict.fromkeys(("TransactionStmt", "LockStmt"), Class.TRANSACTION),
    **dict.fromkeys(
        (
            *("VariableSetStmt", "VariableShowStmt", "DiscardStmt", "DeallocateStmt", "ExecuteStmt", "FetchStmt"),
            *("ClosePortalStmt", "ListenStmt", "UnlistenStmt", "NotifyStmt", "ConstraintsSetStmt"),
        ),
        Class.SESSION,
    ),
    **dict.fromkeys(("DoStmt", "CallStmt"), Class.CALL),
    **dict.fromkeys(("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "TruncateStmt"), Class.WRITE),
    **dict.fromkeys(
        (
            *("CreateStmt", "CreateTableAsStmt", "ViewStmt", "IndexStmt", "AlterTableStmt", "AlterTableMoveAllStmt"),
            *("CreateSchemaStmt", "CreateSeqStmt", "AlterSeqStmt", "CreateFunctionStmt", "AlterFunctionStmt"),
            *("CreateDomainStmt", "AlterDomainStmt", "CreateEnumStmt", "AlterEnumStmt", "CompositeTypeStmt"),
            *("CreateRangeStmt", "AlterTypeStmt", "DefineStmt", "CreateTrigStmt", "RuleStmt", "CreateCastStmt"),
            *("CreateConversionStmt", "CreateTransformStmt", "CreateOpClassStmt", "CreateOpFamilyStmt"),
            *("AlterOpFamilyStmt", "AlterOperatorStmt", "CreateStatsStmt", "AlterStatsStmt", "RefreshMatViewStmt"),
            *("AlterCollationStmt", "AlterTSDictionaryStmt", "AlterTSConfigurationStmt", "AlterObjectDependsStmt"),
        ),
        Class.DDL,
    ),
    **dict.fromkeys(
        (
            *("CreateRoleStmt", "AlterRoleStmt", "AlterRoleSetStmt", "DropRoleStmt", "GrantRoleStmt", "GrantStmt"),
            *("AlterDefaultPrivilegesStmt", "ReassignOwnedStmt", "DropOwnedStmt", "CreatedbStmt", "DropdbStmt"),
            *("AlterDatabaseStmt", "AlterDatabaseSetStmt", "AlterDatabaseRefreshCollStmt", "AlterSystemStmt"),
            *("CreateTableSpaceStmt", "DropTableSpaceStmt", "AlterTableSpaceOptionsStmt", "CreateExtensionStmt"),
            *("AlterExtensionStmt", "AlterExtensionContentsStmt", "CreateFdwStmt", "AlterFdwStmt"),
            *("CreateForeignServerStmt", "AlterForeignServerStmt", "CreateForeignTableStmt", "CreateUserMappingStmt"),
            *("AlterUserMappingStmt", "DropUserMappingStmt", "ImportForeignSchemaStmt", "CreatePLangStmt"),
            *("CreateAmStmt", "CreateEventTrigStmt", "AlterEventTrigStmt", "CreatePolicyStmt", "AlterPolicyStmt"),
            *("CreatePublicationStmt", "AlterPublicationStmt", "CreateSubscriptionStmt", "AlterSubscriptionStmt"),
            *("DropSubscriptionStmt", "VacuumStmt", "ClusterStmt", "ReindexStmt", "CheckPointStmt", "LoadStmt"),
            "SecLabelStmt",
        ),
        Class.ADMIN,
    ),
}

#: Statements about an object of any kind: DDL, unless the object is of the server.
ABOUT_AN_OBJECT = {
    "DropStmt": "removeType",
    "RenameStmt": "renameType",
    "AlterOwnerStmt": "objectType",
    "AlterObjectSchemaStmt": "objectType",
    "CommentStmt": "objtype",
}
OF_THE_SERVER = frozenset(
    f"OBJECT_{kind}"
    for kind in (
        *("ACCESS_METHOD", "DATABASE", "EVENT_TRIGGER", "EXTENSION", "FDW", "FOREIGN_SERVER", "FOREIGN_TABLE"),
        *("LANGUAGE", "LARGEOBJECT", "POLICY", "PUBLICATION", "ROLE", "SUBSCRIPTION", "TABLESPACE", "USER_MAPPING"),
    )
)
#: Objects whose names are names of tables to the rules.
TABLES = frozenset({"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE"})

#: Functions of the server that write, whatever the statement around them is called.
WRITING_FUNCTIONS = frozenset(
    {
        *("lo_creat", "lo_create", "lo_from_bytea", "lo_import", "lo_put", "lo_truncate", "lo_truncate64", "lo_unlink"),
        *("lowrite", "nextval", "setval", "pg_logical_emit_message", "dblink_exec"),
    }
)
