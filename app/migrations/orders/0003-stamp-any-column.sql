-- `is distinct from` needs an equality operator for every column: after `alter table orders add column extra json` (xml, point, ...)
-- every UPDATE that changes only such a column failed. `*<>` compares what is stored, whatever its type.
drop trigger orders_stamp on orders;
create trigger orders_stamp before update on orders
  for each row when (old.* *<> new.*) execute function orders_stamp();
