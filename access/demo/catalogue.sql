-- The catalogue of the demo, on MariaDB: 60,000 products, their prices and their stock. The same rows every time;
-- what is there already stays, so that this may run again.
CREATE DATABASE IF NOT EXISTS catalogue CHARACTER SET utf8mb4;
USE catalogue;

CREATE TABLE IF NOT EXISTS categories (id INT PRIMARY KEY, name VARCHAR(60) NOT NULL);
INSERT IGNORE INTO categories VALUES
    (1, 'Kitchen'), (2, 'Garden'), (3, 'Office'), (4, 'Lighting'), (5, 'Travel'), (6, 'Tools'), (7, 'Toys'), (8, 'Books');

CREATE TABLE IF NOT EXISTS products (
    id INT PRIMARY KEY, sku CHAR(9) NOT NULL UNIQUE, name VARCHAR(80) NOT NULL, category_id INT NOT NULL,
    added_on DATE NOT NULL, FOREIGN KEY (category_id) REFERENCES categories (id));
INSERT IGNORE INTO products
SELECT seq, CONCAT('SKU-', LPAD(seq, 5, '0')),
    CONCAT(ELT(1 + seq % 8, 'Compact', 'Classic', 'Folding', 'Steel', 'Oak', 'Bright', 'Quiet', 'Large'), ' ',
           ELT(1 + seq DIV 8 % 9, 'kettle', 'rake', 'stapler', 'lamp', 'suitcase', 'wrench', 'puzzle', 'atlas', 'chair'),
           ' no. ', seq DIV 72),
    1 + seq % 8, DATE_ADD('2022-01-01', INTERVAL seq % 1400 DAY)
FROM seq_1_to_60000;

CREATE TABLE IF NOT EXISTS prices (
    product_id INT NOT NULL, valid_from DATE NOT NULL, amount DECIMAL(8, 2) NOT NULL, PRIMARY KEY (product_id, valid_from),
    FOREIGN KEY (product_id) REFERENCES products (id));
INSERT IGNORE INTO prices
SELECT p.seq, DATE_ADD('2024-01-01', INTERVAL y.seq YEAR), 5 + (p.seq * 37 + y.seq * 101) % 19500 / 100
FROM seq_1_to_60000 p CROSS JOIN seq_0_to_1 y;

CREATE TABLE IF NOT EXISTS stock (
    product_id INT NOT NULL, warehouse VARCHAR(20) NOT NULL, quantity INT NOT NULL, PRIMARY KEY (product_id, warehouse),
    FOREIGN KEY (product_id) REFERENCES products (id));
INSERT IGNORE INTO stock
SELECT p.seq, ELT(1 + w.seq, 'Leeds', 'Rotterdam'), (p.seq * 13 + w.seq * 7) % 400
FROM seq_1_to_60000 p CROSS JOIN seq_0_to_1 w;
