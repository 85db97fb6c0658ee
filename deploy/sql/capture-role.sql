-- The role with which Debezium follows the database (distributed mode), with what it needs and no more. Run once, by a superuser, in the
-- source database; every variable must be given:
--
--   psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -v role=trackops_capture -v password="$TRACKOPS_CAPTURE_PASSWORD" \
--        -v schemas=public -v tables='public.orders, public.order_items' -v publication=trackops_orders_pub \
--        -f deploy/sql/capture-role.sql
--
-- The tables are those of `trackops connector`, in table.include.list. trackops preflight checks the role of a running connector
-- against this, and names what it has beyond it.

begin;

-- REPLICATION lets it read the changes of every published table of the whole server: treat its password accordingly.
create role :"role" login replication password :'password';

-- Nothing else may be made or kept by it, not even a temporary table, beyond what PUBLIC has.
grant usage on schema :schemas to :"role";
-- For the snapshot. It writes nothing: its heartbeat is a message in the WAL, which needs no table.
grant select on table :tables to :"role";

-- Only a table's owner can publish it. With exactly these tables the connector finds nothing to change, and needs no owner's rights.
-- After a change of the views: alter publication ... set table ..., then trackops connector --register.
create publication :"publication" for table :tables with (publish_via_partition_root = true);

commit;
