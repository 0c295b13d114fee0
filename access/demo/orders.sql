-- The orders database of the demo, on PostgreSQL: 20,000 customers, 100,000 orders, 250,000 lines, 100,000 payments.
-- Run once, connected to it, as the server's administrator. The same rows every time.
CREATE ROLE orders_owner NOLOGIN;
CREATE ROLE reporting NOLOGIN;
GRANT CREATE ON SCHEMA public TO orders_owner;
CREATE SCHEMA billing AUTHORIZATION orders_owner;
SET ROLE orders_owner;

CREATE TABLE public.customers (
    id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL, country char(2) NOT NULL, since date NOT NULL);
CREATE TABLE public.orders (
    id integer NOT NULL, customer_id integer NOT NULL, placed_at timestamptz NOT NULL, status text NOT NULL,
    total numeric(10, 2) NOT NULL);
CREATE TABLE public.order_items (
    order_id integer NOT NULL, line smallint NOT NULL, sku text NOT NULL, quantity smallint NOT NULL,
    price numeric(8, 2) NOT NULL);
CREATE TABLE billing.payments (
    id integer NOT NULL, order_id integer NOT NULL, method text NOT NULL, card_last4 char(4), paid_at timestamptz,
    amount numeric(10, 2) NOT NULL);

INSERT INTO public.customers
SELECT i,
    (ARRAY['Ada','Ben','Chloe','Dev','Elif','Femi','Greta','Hugo','Ines','Jun','Kofi','Lena'])[1 + i % 12] || ' ' ||
    (ARRAY['Adams','Baker','Costa','Dubois','Evans','Fischer','Garcia','Haas','Ito','Jansen','Khan'])[1 + i / 12 % 11],
    'customer' || i || '@example.com',
    (ARRAY['GB','DE','FR','NL','ES','IT','SE','PL'])[1 + i * 7 % 8],
    date '2021-01-01' + i % 1700
FROM generate_series(1, 20000) i;

INSERT INTO public.order_items
SELECT o, l, 'SKU-' || lpad((1 + (o::bigint * 31 + l * 977) % 60000)::text, 5, '0'), 1 + (o + l) % 4,
    round((5 + (o * 37 + l * 101) % 19500 / 100.0)::numeric, 2)
FROM generate_series(1, 100000) o, generate_series(1, 4) l WHERE l <= 1 + o % 4;

INSERT INTO public.orders
SELECT i, 1 + (i::bigint * 7919 % 20000)::integer, timestamptz '2025-01-01 UTC' + i * interval '9 minutes',
    (ARRAY['delivered','delivered','delivered','shipped','paid','new','returned'])[1 + i * 13 % 7], sums.total
FROM generate_series(1, 100000) i
JOIN (SELECT order_id, sum(quantity * price) AS total FROM public.order_items GROUP BY order_id) sums ON sums.order_id = i
ORDER BY i;

INSERT INTO billing.payments
SELECT id, id, (ARRAY['card','card','invoice','wallet'])[1 + id % 4],
    CASE WHEN id % 4 < 2 THEN lpad((id * 7 % 10000)::text, 4, '0') END,
    CASE WHEN status <> 'new' THEN placed_at + interval '4 minutes' END, total
FROM public.orders;

-- Behind the rows: all at once is much less work than row by row.
ALTER TABLE public.orders ADD PRIMARY KEY (id), ADD FOREIGN KEY (customer_id) REFERENCES public.customers;
ALTER TABLE public.order_items ADD PRIMARY KEY (order_id, line), ADD FOREIGN KEY (order_id) REFERENCES public.orders;
ALTER TABLE billing.payments ADD PRIMARY KEY (id), ADD FOREIGN KEY (order_id) REFERENCES public.orders;
CREATE INDEX ON public.orders (customer_id);
CREATE INDEX ON billing.payments (order_id);
GRANT USAGE ON SCHEMA billing TO reporting;
GRANT SELECT ON billing.payments, public.orders TO reporting;
RESET ROLE;
ANALYZE;
